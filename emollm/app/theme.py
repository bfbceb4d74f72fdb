"""The app's gradio theme: plain, system fonts only; colours are the variables of `clip.css`, for light and dark alike."""

from __future__ import annotations

import gradio as gr

_FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif")
_LOOK = {
    "body_background_fill": "var(--em-ground)",
    "body_text_color": "var(--em-ink)",
    "body_text_color_subdued": "var(--em-soft)",
    "background_fill_primary": "var(--em-sheet)",
    "background_fill_secondary": "var(--em-sunk)",
    "block_background_fill": "var(--em-sheet)",
    "block_label_text_color": "var(--em-soft)",
    "block_title_text_color": "var(--em-ink)",
    "block_info_text_color": "var(--em-soft)",
    "border_color_primary": "var(--em-line)",
    "border_color_accent": "var(--em-accent)",
    "border_color_accent_subdued": "transparent",
    "checkbox_background_color_selected": "var(--em-accent)",
    "checkbox_border_color_selected": "var(--em-accent)",
    "checkbox_label_background_fill_selected": "var(--em-accent-soft)",
    "checkbox_label_text_color_selected": "var(--em-accent)",
    "color_accent_soft": "var(--em-accent-soft)",
    "button_primary_background_fill": "var(--em-accent)",
    "button_primary_background_fill_hover": "var(--em-accent-strong)",
    "button_primary_border_color": "var(--em-accent)",
    "button_primary_border_color_hover": "var(--em-accent-strong)",
    "button_primary_text_color": "var(--em-sheet)",
    "button_secondary_background_fill": "var(--em-sheet)",
    "button_secondary_background_fill_hover": "var(--em-sunk)",
    "button_secondary_text_color": "var(--em-ink)",
    "button_secondary_border_color": "var(--em-line)",
    "input_background_fill": "var(--em-sheet)",
    "input_border_color": "var(--em-line)",
    "input_border_color_focus": "var(--em-accent)",
    "input_placeholder_color": "var(--em-soft)",
    "slider_color": "var(--em-accent)",
    "loader_color": "var(--em-accent)",
}
_PLAIN = {
    "color_accent": "var(--em-accent)",
    "button_large_text_size": "14px",
    "button_large_text_weight": "600",
    "button_small_text_size": "13px",
    "button_border_width": "1px",
    "input_border_width": "1px",
}


def theme() -> gr.themes.Base:
    """Made anew for every launch, as gradio changes what it is given."""
    base = gr.themes.Base(primary_hue="teal", neutral_hue="stone", radius_size="md", font=_FONTS, font_mono=("ui-monospace", "monospace"))
    return base.set(**_LOOK, **{f"{name}_dark": value for name, value in _LOOK.items()}, **_PLAIN)
