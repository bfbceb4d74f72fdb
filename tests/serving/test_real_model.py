"""The shipped model behind the server: the official client holds a streamed conversation."""

import base64

import pytest
from paths import HAVE_WEIGHTS, SAMPLES
from servers import served

JOY = SAMPLES / "sample_joy.mp4"
ASK = "How does this person feel, and how can you tell?"
pytestmark = pytest.mark.skipif(not HAVE_WEIGHTS, reason="needs `emollm weights pull mini`")


@pytest.fixture(scope="module")
def backend():
    from emollm.chat.local import LocalBackend

    return LocalBackend.from_recipe("emollm", scale="mini", threads=1)


def test_a_streamed_conversation_about_the_sample_clip(backend):
    import openai

    clip = base64.b64encode(JOY.read_bytes()).decode()
    history = [
        {
            "role": "user",
            "content": [{"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{clip}"}}, {"type": "text", "text": ASK}],
        }
    ]
    said = []
    with served(backend) as url, openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120) as client:
        for question in ("When does the expression change?", "What could I say to them?", None):
            stream = client.chat.completions.create(
                model="emollm-mini", messages=history, stream=True, max_tokens=80, stream_options={"include_usage": True}
            )
            chunks = list(stream)
            text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
            assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) > 3, "the answer comes piece by piece"
            assert chunks[-1].usage.completion_tokens > 3
            said.append(text)
            history += [{"role": "assistant", "content": text}, {"role": "user", "content": question}]
        client.files.create(file=("joy.mp4", JOY.read_bytes()), purpose="user_data")  # while it is here, what was measured stays
        heard = client.audio.transcriptions.create(model="whisper-1", file=("joy.mp4", JOY.read_bytes()))
    assert "happy" in heard.text.lower()
    assert any(sign in said[0].lower() for sign in ("face", "mouth")) and "happ" in said[0].lower()  # it says which signs it goes by
    assert backend.parts.perception.encoded == 1  # three requests with the same bytes, one encoding
