// Links one clip's player, face boxes, timeline and every button that carries data-seek. Talks to nobody; used by the app and by reports.
() => {
  const STEP_S = 1, LEAP_S = 5, SPEEDS = [1, 0.5, 0.25, 1.5];
  const SVG = "http://www.w3.org/2000/svg";
  const clipOf = (element) => element.closest(".em-clip") || document.querySelector(".em-clip");
  const mediaOf = (clip) => clip && clip.querySelector("video.em-media, audio.em-media");
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
  const marks = new WeakMap(); // stage -> its parsed people and the elements drawn for them

  const seek = (clip, seconds, play) => {
    const media = mediaOf(clip);
    if (!media) return;
    media.currentTime = Math.max(0, Math.min(Number(clip.querySelector(".em-stage").dataset.duration), seconds));
    if (play) media.play().catch(() => {});
    show(clip);
  };

  // Boxes lie in pictures whose longest side is at most data-side; the drawing gets the same measure.
  const drawn = (stage) => {
    if (marks.has(stage)) return marks.get(stage);
    const media = stage.querySelector("video.em-media, img.em-media"), svg = stage.querySelector(".em-boxes");
    const width = media && (media.videoWidth || media.naturalWidth), height = media && (media.videoHeight || media.naturalHeight);
    if (!svg || !width) return null;
    const factor = Math.min(1, Number(stage.dataset.side) / Math.max(width, height));
    svg.setAttribute("viewBox", `0 0 ${Math.round(width * factor)} ${Math.round(height * factor)}`);
    const unit = Math.max(width, height) * factor / 100;
    const people = JSON.parse(stage.dataset.people).map((person, number) => {
      const group = document.createElementNS(SVG, "g"), box = document.createElementNS(SVG, "rect");
      const plate = document.createElementNS(SVG, "rect"), tag = document.createElementNS(SVG, "text");
      box.setAttribute("rx", unit); plate.setAttribute("rx", unit * 0.6); tag.setAttribute("font-size", unit * 2.7);
      group.append(box, plate, tag);
      group.classList.add("em-box", number === 0 ? "em-box-main" : "em-box-other");
      svg.append(group);
      return { ...person, group, box, plate, tag };
    });
    const found = { people, unit };
    marks.set(stage, found);
    return found;
  };

  const nearest = (times, at) => {
    let low = 0, high = times.length - 1;
    while (low < high) { const middle = (low + high) >> 1; if (times[middle] < at) low = middle + 1; else high = middle; }
    return low > 0 && at - times[low - 1] < times[low] - at ? low - 1 : low;
  };

  const boxes = (stage, at) => {
    const found = drawn(stage);
    if (!found) return;
    for (const person of found.people) {
      const k = nearest(person.times, at), step = person.times.length > 1 ? (person.times.at(-1) - person.times[0]) / (person.times.length - 1) : 1e9;
      const there = Math.abs(person.times[k] - at) <= Math.max(0.2, 1.5 * step);
      person.group.style.display = there ? "" : "none";
      if (!there) continue;
      const [left, top, right, bottom] = person.boxes[k];
      for (const [name, value] of [["x", left], ["y", top], ["width", right - left], ["height", bottom - top]]) person.box.setAttribute(name, value);
      const said = [person.name && person.main ? `${person.name} (${person.main})` : person.name, person.shown[person.tops[k]]].filter(Boolean).join(": ");
      if (person.tag.textContent !== said) person.tag.textContent = said;
      const wide = person.tag.getComputedTextLength() + found.unit * 2, above = top > found.unit * 5;
      const y = above ? top - found.unit * 4.6 : bottom + found.unit * 0.6;
      for (const [name, value] of [["x", left], ["y", y], ["width", wide], ["height", found.unit * 4]]) person.plate.setAttribute(name, value);
      person.tag.setAttribute("x", left + found.unit); person.tag.setAttribute("y", y + found.unit * 2.9);
      person.group.style.setProperty("--em-hue", `var(--em-${person.hues[person.tops[k]]})`);
    }
  };

  const show = (clip) => {
    const stage = clip.querySelector(".em-stage"), media = mediaOf(clip);
    if (!stage) return;
    const at = media ? media.currentTime : 0, end = Number(stage.dataset.duration) || 1;
    boxes(stage, at);
    const now = stage.querySelector(".em-now b");
    if (now) now.textContent = clock(at);
    const time = clip.querySelector(".em-time");
    if (!time || !media) return;
    time.style.setProperty("--at", Math.min(1, at / end));
    const slider = time.querySelector(".em-scrub");
    slider.setAttribute("aria-valuenow", at.toFixed(1));
    slider.setAttribute("aria-valuetext", clock(at));
    for (const word of time.querySelectorAll(".em-word")) { // the word that is being said
      const left = parseFloat(word.style.left) / 100 * end;
      word.classList.toggle("em-on", at >= left && at < left + parseFloat(word.style.width) / 100 * end);
    }
  };

  const toggled = (clip) => {
    const media = mediaOf(clip), play = clip.querySelector('[data-act="play"]');
    if (!media || !play) return;
    play.dataset.first ??= play.getAttribute("aria-label");
    const said = media.paused ? play.dataset.first : play.dataset.other;
    play.setAttribute("aria-label", said); play.title = said;
    play.classList.toggle("em-on", !media.paused);
    let last = -1;
    const follow = () => { // smoother than the player's own four events a second
      if (!media.isConnected || media.paused) return;
      if (Math.abs(media.currentTime - last) > 0.03) { last = media.currentTime; show(clip); }
      requestAnimationFrame(follow);
    };
    if (!media.paused) follow();
  };

  const act = (clip, button, kind) => {
    const media = mediaOf(clip);
    if (!media) return;
    if (kind === "play") media.paused ? media.play().catch(() => {}) : media.pause();
    if (kind === "mute") {
      media.muted = !media.muted;
      button.dataset.first ??= button.getAttribute("aria-label");
      const said = media.muted ? button.dataset.other : button.dataset.first;
      button.setAttribute("aria-label", said); button.title = said;
      button.classList.toggle("em-on", media.muted);
    }
    if (kind === "speed") {
      media.playbackRate = SPEEDS[(SPEEDS.indexOf(media.playbackRate) + 1) % SPEEDS.length];
      button.textContent = `${media.playbackRate}×`;
    }
    if (kind === "full") {
      const screen = clip.querySelector(".em-screen");
      document.fullscreenElement ? document.exitFullscreen() : screen.requestFullscreen?.().catch(() => {});
    }
  };

  document.addEventListener("click", (event) => {
    const jump = event.target.closest('[data-seek], a[href*="#t="]');
    if (jump) {
      event.preventDefault();
      const clip = clipOf(jump), seconds = Number(jump.dataset.seek ?? jump.getAttribute("href").split("#t=")[1]);
      seek(clip, seconds, false);
      clip?.querySelector(".em-stage")?.scrollIntoView({ block: "nearest", behavior: "auto" });
      return;
    }
    const button = event.target.closest("button[data-act]");
    if (button) return act(clipOf(button), button, button.dataset.act);
    const screen = event.target.closest(".em-stage-video .em-screen, .em-stage-audio .em-screen");
    if (screen) act(clipOf(screen), screen, "play");
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.('input[data-act="boxes"]')) clipOf(event.target).classList.toggle("em-no-boxes", !event.target.checked);
  });

  const scrub = (event) => {
    const slider = event.target.closest?.(".em-scrub");
    if (!slider || (event.type === "pointermove" && event.buttons !== 1)) return;
    if (event.type === "pointerdown") slider.setPointerCapture(event.pointerId);
    const field = slider.getBoundingClientRect(), clip = clipOf(slider);
    seek(clip, (event.clientX - field.left) / field.width * Number(clip.querySelector(".em-stage")?.dataset.duration ?? 0), false);
  };
  document.addEventListener("pointerdown", scrub);
  document.addEventListener("pointermove", scrub);
  document.addEventListener("keydown", (event) => {
    const slider = event.target.closest?.(".em-scrub");
    if (!slider) return;
    const clip = clipOf(slider), media = mediaOf(clip);
    if (!media) return;
    const end = Number(clip.querySelector(".em-stage").dataset.duration);
    const to = { ArrowLeft: media.currentTime - STEP_S, ArrowDown: media.currentTime - STEP_S, ArrowRight: media.currentTime + STEP_S,
      ArrowUp: media.currentTime + STEP_S, PageDown: media.currentTime - LEAP_S, PageUp: media.currentTime + LEAP_S, Home: 0, End: end }[event.key];
    if (event.key === " " || event.key === "Enter") act(clip, slider, "play");
    else if (to === undefined) return;
    else seek(clip, to, false);
    event.preventDefault();
  });

  // media events do not bubble, but they can be caught on the way down
  for (const name of ["timeupdate", "seeking", "seeked", "loadedmetadata", "loadeddata"]) {
    document.addEventListener(name, (event) => event.target.matches?.(".em-media") && show(clipOf(event.target)), true);
  }
  for (const name of ["play", "pause", "ended"]) {
    document.addEventListener(name, (event) => event.target.matches?.(".em-media") && toggled(clipOf(event.target)), true);
  }
  document.addEventListener("load", (event) => event.target.matches?.("img.em-media") && show(clipOf(event.target)), true);
  document.addEventListener("error", (event) => {
    const note = event.target.matches?.("video.em-media, audio.em-media") && event.target.closest(".em-stage").querySelector(".em-unplayable");
    if (note) note.hidden = false;
  }, true);
  for (const clip of document.querySelectorAll(".em-clip")) show(clip);
}
