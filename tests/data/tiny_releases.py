"""Official folders of public corpora in miniature: the files of each, how it is read, and what must come out."""

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Release:
    """Files of a release, the choices of the reader, and the samples expected: id, split, labels by task and some fields."""

    files: dict[str, str]
    samples: list[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def table(*rows, separator=","):
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    return text.getvalue()


def tabs(*rows):
    return "".join("\t".join(r) + "\n" for r in rows)


MELD = (
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
)
MMSA = ("video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode")
BOLD = 26  # shares of emotions
HEARD = ("response_Qwen25vl_72B", "response_Qwen2Audio", "response_AudioReasoner")


def meld(number, emotion, sentiment):
    return (number, "Oh, my, god!", "Joey", emotion, sentiment, 0, number, 8, 21, "00:01", "00:02")


def mmsa(clip, mode):
    return table(
        MMSA,
        ("_dI--eQ6qVU", "1", "a fine film", "2.4", "", "", "", "Positive", "train"),
        ("_dI--eQ6qVU", clip, "a bad one", "-0.4", "", "", "", "Negative", mode),
    )


def mmsa_samples(corpus):
    low = -0.4
    return [
        {"id": f"{corpus}/_dI--eQ6qVU/1", "split": "train", "sentiment": "positive", "video": "Raw/_dI--eQ6qVU/1.mp4", "valence": 2.4},
        {"id": f"{corpus}/_dI--eQ6qVU/02", "split": "val", "sentiment": "negative", "transcript": "a bad one", "valence": low},
    ]


def bold(clip, person, high):
    shares = ["0.9" if k == high else "0.1" for k in range(BOLD)]
    return (clip, person, "0", "99", *shares, "0.4", "0.5", "0.6", "Male", "Adult", "White", "0.8")


def turn(history, number):
    return {
        "turn_id": number,
        "context": "a lost dog",
        "dialogue_history": [{"index": i, "role": r, "utterance": u} for i, (r, u) in enumerate(history)],
        "response": "I am sorry to hear that.",
        "chain_of_empathy": {
            "speaker_emotion": "Lonely",
            "event_scenario": "the dog ran away",
            "emotion_cause": "missing the dog",
            "goal_to_response": "to comfort",
        },
    }


def dialogue(number):
    said = [("speaker", "My dog ran away."), ("listener", "Oh no."), ("speaker", "He is three.")]
    return {
        "conversation_id": number,
        "speaker_profile": {"ID": 55, "age": "adult"},
        "turns": [turn(said[:1], 0), turn(said, 1)],
    }


def mmeverse(folder, header, *rows, peak=None):
    files = {f"{folder}_merged.csv": table((*header, *HEARD), *((*r, "a frown", "a low voice", "unread") for r in rows))}
    if peak:
        files[f"{folder}_peak.json"] = json.dumps({k: {"peak_index": v} for k, v in peak.items()})
    return files


ENTERED = {
    "utterance": {
        "StartTime": "0:01",
        "EndTime": "0:02",
        "Text": "你好",
        "Speaker": "A",
        "EmoAnnotation": {"EmoAnnotator1": "Happy", "final_mul_emo": "Happy,Surprise", "final_main_emo": "Happy"},
    }
}

RELEASES: dict[str, Release] = {
    "meld": Release(
        {
            "train_sent_emo.csv": table(MELD, meld(1, "surprise", "negative"), meld(2, "neutral", "neutral")),
            "dev_sent_emo.csv": table(MELD, meld(0, "joy", "positive")),
            "test_sent_emo.csv": table(MELD, meld(0, "disgust", "negative")),
        },
        [
            {"id": "meld/train/dia0_utt1", "split": "train", "emotion": "surprise", "sentiment": "negative", "speaker": "Joey"},
            {"id": "meld/train/dia0_utt2", "video": "train_splits/dia0_utt2.mp4", "transcript": "Oh, my, god!", "language": "en"},
            {"id": "meld/val/dia0_utt0", "split": "val", "video": "dev_splits_complete/dia0_utt0.mp4", "level": "perception"},
            {"id": "meld/test/dia0_utt0", "split": "test", "video": "output_repeated_splits_test/dia0_utt0.mp4"},
        ],
    ),
    "iemocap": Release(
        {
            "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": (
                "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
                "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\t()\n\n"
                "[10.0100 - 11.3925]\tSes01F_impro01_M001\txxx\t[2.5000, 2.5000, 2.5000]\n"
            ),
            "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt": "left by a copy",
            "Session1/dialog/transcriptions/Ses01F_impro01.txt": "Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.\nM: [LAUGHTER]\n",
            "Session5/dialog/EmoEvaluation/Ses05M_script01_1.txt": "[1.0 - 2.0]\tSes05M_script01_1_M003\tfru\t[1.5000, 3.0, 2.0]\n",
        },
        [
            {
                "id": "iemocap/Ses01F_impro01_F000",
                "split": "train",
                "emotion": "neutral",
                "valence": 2.5,
                "transcript": "Excuse me.",
                "speaker": "Ses01F",
                "audio": "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
                "video": "Session1/dialog/avi/DivX/Ses01F_impro01.avi",
            },
            {"id": "iemocap/Ses01F_impro01_M001", "emotion": None, "valence": 2.5, "transcript": None, "speaker": "Ses01M"},
            {"id": "iemocap/Ses05M_script01_1_M003", "split": "test", "emotion": "frustration", "speaker": "Ses05M"},
        ],
    ),
    "cmu-mosi": Release({"label.csv": mmsa("02", "valid")}, mmsa_samples("cmu-mosi")),
    "cmu-mosei": Release({"label.csv": mmsa("02", "valid")}, mmsa_samples("cmu-mosei")),
    "ch-sims": Release(
        {"label.csv": table(MMSA, ("video_0001", "0001", "很好", "0.8", "1", "1", "1", "Positive", "test"))},
        [{"id": "ch-sims/video_0001/0001", "split": "test", "video": "Raw/video_0001/0001.mp4", "language": "zh", "valence": 0.8}],
    ),
    "ch-sims-v2": Release(
        {"meta.csv": table(MMSA, ("aqgy3", "0001", "很好", "0", "0", "0", "0", "Neutral", "test"))},
        [{"id": "ch-sims-v2/aqgy3/0001", "split": "test", "sentiment": "neutral", "valence": 0.0}],
    ),
    "caer": Release(
        {"train/Anger/0001.avi": "", "validation/Sad/0001.avi": "", "test/Happy/0007.avi": "", "readme.txt": ""},
        [
            {"id": "caer/test/happy/0007", "split": "test", "emotion": "happy", "video": "test/Happy/0007.avi", "transcript": None},
            {"id": "caer/train/anger/0001", "split": "train", "emotion": "anger"},
            {"id": "caer/val/sad/0001", "split": "val", "emotion": "sad"},
        ],
    ),
    "dfew": Release(
        {
            "EmoLabel_DataSplit/train(single-labeled)/set_3.csv": "video_name,label\n2,7\n12,1\n",
            "EmoLabel_DataSplit/test(single-labeled)/set_3.csv": "video_name,label\n5,3\n",
        },
        [
            {"id": "dfew/00002", "split": "train", "emotion": "fear", "video": "Clip/original/2.mp4", "fold": 3},
            {"id": "dfew/00012", "emotion": "happy"},
            {"id": "dfew/00005", "split": "test", "emotion": "neutral"},
        ],
        {"fold": 3},
    ),
    "mafw": Release(
        {
            "Train & Test Set/single/no_caption/set_1/train.txt": "00001.mp4 anger\n00003.mp4 helplessness\n",
            "Train & Test Set/single/no_caption/set_1/test.txt": "00002.mp4 contempt\n",
        },
        [
            {"id": "mafw/00001", "split": "train", "emotion": "anger", "video": "data/clips/00001.mp4"},
            {"id": "mafw/00003", "emotion": "helplessness"},
            {"id": "mafw/00002", "split": "test", "emotion": "contempt", "fold": 1},
        ],
        {"fold": 1},
    ),
    "ferv39k": Release(
        {
            "4_setups/All_scenes/train_All.csv": "Action/Happy/0267 Happy\nCrime/Fear/0001 Fear\n",
            "4_setups/All_scenes/test_All.csv": "War/Angry/0002 Angry\n",
        },
        [
            {"id": "ferv39k/Action/Happy/0267", "split": "train", "emotion": "happy", "video": "2_ClipsforFaceCrop/Action/Happy/0267"},
            {"id": "ferv39k/Crime/Fear/0001", "emotion": "fear"},
            {"id": "ferv39k/War/Angry/0002", "split": "test", "emotion": "angry"},
        ],
    ),
    "mc-eiu": Release(
        {
            "English.csv": table(("video_id", "emotion", "intent", "Subtitle", "mode"), ("e1", "happy", "agreeing", "Sure!", "validation")),
            "Mandarin.csv": table(("video_id", "emotion", "intent", "Subtitle", "mode"), ("m1", "sad", "wishing", "好吧", "test")),
        },
        [
            {"id": "mc-eiu/en/e1", "split": "val", "emotion": "happy", "intent": "agreeing", "language": "en", "level": "understanding"},
            {"id": "mc-eiu/zh/m1", "split": "test", "emotion": "sad", "intent": "wishing", "language": "zh", "transcript": "好吧"},
        ],
    ),
    "bold": Release(
        {
            "annotations/train.csv": table(bold("003/a.mp4/0114.mp4", "0", 0), bold("003/a.mp4/0114.mp4", "1.0", None)),
            "annotations/val.csv": table(bold("007/b.mp4/0001.mp4", "0", 25)),
        },
        [
            {"id": "bold/003/a.mp4/0114.mp4/0", "split": "train", "multi-label": ("peace",), "video": "videos/003/a.mp4/0114.mp4"},
            {"id": "bold/007/b.mp4/0001.mp4/0", "split": "val", "multi-label": ("suffering",)},
        ],
        left_out={"without an answer to any task": 1},
    ),
    "e3": Release(
        {"annotations.csv": table(("video_id", "conversation", "person", "emotion", "mode"), ("7", "Look!", "the wearer", "shy", "val"))},
        [{"id": "e3/7", "split": "val", "emotion": "shy", "transcript": "Look!", "language": None}],
    ),
    "crema-d": Release(
        {"AudioWAV/1001_DFA_ANG_XX.wav": "", "AudioWAV/1091_IEO_HAP_HI.wav": ""},
        [
            {
                "id": "crema-d/1001_DFA_ANG_XX",
                "split": "train",
                "emotion": "anger",
                "speaker": "1001",
                "audio": "AudioWAV/1001_DFA_ANG_XX.wav",
                "video": "VideoFlash/1001_DFA_ANG_XX.flv",
                "transcript": "Don't forget a jacket.",
            },
            {"id": "crema-d/1091_IEO_HAP_HI", "emotion": "happy", "transcript": "It's eleven o'clock."},
        ],
        {"split": "train"},
    ),
    "ravdess": Release(
        {
            "Actor_01/03-01-06-01-02-01-01.wav": "",
            "Actor_01/03-02-06-01-02-01-01.wav": "",
            "Actor_12/01-01-08-02-01-02-12.mp4": "",
            "Actor_12/02-01-08-02-01-02-12.mp4": "",
        },
        [
            {
                "id": "ravdess/03-01-06-01-02-01-01",
                "split": "test",
                "emotion": "fearful",
                "speaker": "01",
                "audio": "Actor_01/03-01-06-01-02-01-01.wav",
                "video": None,
                "transcript": "Dogs are sitting by the door.",
            },
            {"id": "ravdess/01-01-08-02-01-02-12", "emotion": "surprised", "video": "Actor_12/01-01-08-02-01-02-12.mp4", "audio": None},
        ],
        {"split": "test"},
        {"with another channel": 1, "with another modality": 1},
    ),
    "mer2023": Release(
        {
            "train-label.csv": table(("name", "discrete", "valence"), ("sample_00000001", "worried", "-2.5")),
            "test1-label.csv": table(("name", "discrete"), ("sample_00000002", "happy")),
            "test2-label.csv": table(("name", "discrete"), ("sample_00000002", "sad")),
            "transcription-engchi-polish.csv": table(("name", "chinese", "english"), ("sample_00000001", "怎么办", "What now?")),
        },
        [
            {"id": "mer2023/train/sample_00000001", "split": "train", "emotion": "worried", "valence": -2.5, "transcript": "怎么办"},
            {"id": "mer2023/test1/sample_00000002", "split": "test", "emotion": "happy", "video": "test1/sample_00000002.avi"},
            {"id": "mer2023/test2/sample_00000002", "split": "test", "emotion": "sad", "video": "test2/sample_00000002.mp4"},
        ],
    ),
    "mer2024": Release(
        {
            "label-disdim.csv": table(("name", "discrete", "valence"), ("samplenew_00000001", "angry", "-3")),
            "label-transcription.csv": table(("name", "chinese", "english"), ("samplenew_00000001", "走开", "Go away")),
        },
        [
            {
                "id": "mer2024/samplenew_00000001",
                "emotion": "angry",
                "valence": -3.0,
                "video": "video-labeled/samplenew_00000001.mp4",
                "transcript": "走开",
            }
        ],
    ),
    "m3ed": Release(
        {
            "annotation.json": json.dumps(
                {
                    "show_one": {"one_1": {"SpeakerInfo": {"A": {"Name": "Li"}}, "Dialog": {"one_1_1": ENTERED["utterance"]}}},
                    "show_two": {"two_4": {"SpeakerInfo": {}, "Dialog": {"two_4_1": ENTERED["utterance"]}}},
                }
            ),
            "splitInfo/movie_list_train.txt": "show_one\n",
            "splitInfo/movie_list_val.txt": "show_two",
            "splitInfo/movie_list_test.txt": "show_three\n",
        },
        [
            {
                "id": "m3ed/one_1_1",
                "split": "train",
                "emotion": "happy",
                "multi-label": ("happy", "surprise"),
                "transcript": "你好",
                "speaker": "one_1/A",
                "audio": "modality_speech/A_one_1_1.wav",
            },
            {"id": "m3ed/two_4_1", "split": "val"},
        ],
    ),
    "mintrec": Release(
        {
            "train.tsv": tabs(("season", "episode", "clip", "text", "label"), ("S04", "E01", "246", '"so, thanks', "Thank")),
            "dev.tsv": tabs(("season", "episode", "clip", "text", "label"), ("S04", "E02", "1", "help me", "Ask for help")),
            "test.tsv": tabs(("season", "episode", "clip", "text", "label"), ("S05", "E01", "2", "hello", "Greet")),
        },
        [
            {"id": "mintrec/S04/E01/246", "split": "train", "intent": "thank", "transcript": '"so, thanks', "level": "understanding"},
            {"id": "mintrec/S04/E02/1", "split": "val", "intent": "ask for help", "video": "raw_data/S04/E02/1.mp4"},
            {"id": "mintrec/S05/E01/2", "split": "test", "intent": "greet"},
        ],
    ),
    "mintrec2": Release(
        {
            "train.tsv": tabs(("dialogue_id", "utterance_id", "text", "label"), ("0", "0", "let us go", "Invite"), ("0", "1", "hm", "UNK")),
            "dev.tsv": tabs(("dialogue_id", "utterance_id", "text", "label"), ("1", "0", "I doubt it", "Doubt")),
            "test.tsv": tabs(("dialogue_id", "utterance_id", "text", "label"), ("2", "5", "no", "Refuse")),
        },
        [
            {"id": "mintrec2/dia0_utt0", "split": "train", "intent": "invite"},
            {"id": "mintrec2/dia1_utt0", "split": "val", "intent": "doubt"},
            {"id": "mintrec2/dia2_utt5", "split": "test", "intent": "refuse", "video": "raw_data/dia2_utt5.mp4"},
        ],
        left_out={"without an answer to any task": 1},
    ),
    "merr": Release(
        {
            "MERR_fine_grained.json": json.dumps(
                {
                    "sample_00000047": {
                        "peak_index": "12",
                        "peak_AU_list": ["AU06", "AU12"],
                        "visual_prior_list": ["a smile"],
                        "audio_prior_list": "a warm voice",
                        "text": "好的",
                        "pseu_emotion": "happy",
                        "smp_reason_caption": "The smile and the voice tell of joy.",
                    }
                }
            )
        },
        [
            {
                "id": "merr/sample_00000047",
                "split": "train",
                "emotion": "happy",
                "peak_frame": 12,
                "level": "understanding",
                "units": "AU06; AU12",
                "multimodal": "The smile and the voice tell of joy.",
                "tasks": ("emotion", "reason"),
            }
        ],
    ),
    "mer-caption-plus": Release(
        {
            "track3_train_mercaptionplus.csv": table(("name", "reason"), ("s1", "He seems proud."), ("s2", "She is calm.")),
            "track2_train_mercaptionplus.csv": table(("name", "openset"), ("s1", "[proud, Happy]")),
            "subtitle_chieng.csv": table(("name", "chinese", "english"), ("s1", "我赢了", "I won")),
        },
        [
            {"id": "mer-caption/s1", "open-vocabulary": ("proud", "happy"), "multimodal": "He seems proud.", "transcript": "我赢了"},
            {"id": "mer-caption/s2", "tasks": ("reason",), "transcript": None, "audio": "audio/s2.wav"},
        ],
    ),
    "mer-caption": Release(
        {
            "track3_train_mercaption.csv": table(("name", "reason"), ("s1", "He seems proud.")),
            "track2_train_mercaption.csv": table(("name", "openset"), ("s1", "['proud', 'happy', 'proud']")),
        },
        [{"id": "mer-caption/s1", "open-vocabulary": ("proud", "happy"), "split": "train"}],
    ),
    "ov-merd": Release(
        {
            "track3_train_ovmerd.csv": table(("name", "reason"), ("s1", "He seems proud.")),
            "track2_train_ovmerd.csv": table(("name", "openset"), ("s1", "[proud]")),
        },
        [{"id": "ov-merd/s1", "open-vocabulary": ("proud",), "split": "train", "level": "understanding"}],
    ),
    "ov-merd-plus": Release(
        {
            "ovlabel.csv": table(("name", "openset"), ("s1", "[proud, calm]"), ("s2", "[]")),
            "subtitle_eng.csv": table(("name", "sentence"), ("s1", "I won")),
        },
        [{"id": "ov-merd-plus/s1", "open-vocabulary": ("proud", "calm"), "split": "test", "level": "perception", "transcript": "I won"}],
        left_out={"without an answer to any task": 1},
    ),
    "emer": Release(
        {"final-EMER-reason.csv": table(("name", "chinese", "english"), ("s1", "他笑", 'He says "hello", and smiles.'))},
        [{"id": "emer/s1", "split": "test", "multimodal": 'He says "hello", and smiles.', "tasks": ("reason",)}],
        {"split": "test"},
    ),
    "avamerg": Release(
        {"train.json": json.dumps([dialogue("00017")]), "test.json": json.dumps([dialogue("00018")])},
        [
            {
                "id": "avamerg/dia00017_turn0",
                "split": "train",
                "video": "train/video/dia17utt0_55.mp4",
                "open-vocabulary": ("lonely",),
                "reply": "I am sorry to hear that.",
                "level": "interaction",
                "turns": ["user"],
                "goal": "to comfort",
            },
            {"id": "avamerg/dia00017_turn1", "video": "train/video/dia17utt2_55.mp4", "turns": ["user", "assistant", "user"]},
            {"id": "avamerg/dia00018_turn0", "split": "test"},
            {"id": "avamerg/dia00018_turn1", "split": "test", "audio": "test/audio/dia18utt2_55.wav"},
        ],
    ),
    "fec-bench": Release(
        {"test.json": json.dumps([{"id": 4, "video": "CAER/test/Happy/0007.avi", "caption": "The brows rise."}])},
        [{"id": "fda/test/4", "split": "test", "facial": "The brows rise.", "tasks": ("describe",), "video": "CAER/test/Happy/0007.avi"}],
    ),
    "favchat-170k": Release(
        {
            "FaVChat-COT-170k.json": json.dumps(
                [
                    {"problem_id": 1, "problem": "Is the mouth open?", "data_type": "video", "path": "a/1.mp4", "solution": "yes"},
                    {"problem_id": 2, "problem": "Which hair?", "data_type": "image", "path": "a/2.jpg", "solution": "dark"},
                ]
            )
        },
        [{"id": "favchat-170k/1", "split": "train", "question": "Is the mouth open?", "answer": "yes", "video": "a/1.mp4"}],
        {"split": "train"},
        {"with another data_type": 1},
    ),
    "mmeverse-mer2023": Release(
        mmeverse(
            "MER2023",
            ("video_id", "MER2023_mode", "emotion_label", "chinese", "gpt-4o-mini_Emotion"),
            ("sample_1", "train", "worried", "怎么办", "She worries."),
            ("sample_2", "test1", "happy", "好", ""),
            ("sample_3", "", "sad", "", ""),
            peak={"sample_1": 31},
        ),
        [
            {
                "id": "mer2023/sample_1",
                "split": "train",
                "emotion": "worried",
                "audio_told": "a low voice",
                "visual": "a frown",
                "multimodal": "She worries.",
                "peak_frame": 31,
                "tasks": ("emotion", "describe", "reason"),
            },
            {"id": "mer2023/sample_2", "split": "test", "peak_frame": None, "tasks": ("emotion", "describe")},
        ],
        left_out={"of other splits": 1},
    ),
    "mmeverse-mer2024": Release(
        mmeverse("MER2024", ("video_id", "MER2024_mode", "emotion_label", "chinese"), ("s1", "test_semi", "angry", "走开")),
        [{"id": "mer2024/s1", "split": "test", "emotion": "angry", "tasks": ("emotion", "describe")}],
    ),
    "mmeverse-caer": Release(
        mmeverse("CAER", ("video_id", "mode", "emotion_label", "text_whisper"), ("c1", "validation", "Anger", "Go!")),
        [{"id": "caer/c1", "split": "val", "emotion": "anger", "transcript": "Go!"}],
    ),
    "mmeverse-dfew": Release(
        mmeverse("DFEW", ("video_id", "mode", "label", "sentence"), ("00001", "train", "angry", "Go!")),
        [{"id": "dfew/mmeverse/00001", "split": "train", "emotion": "anger", "fold": None}],
    ),
    "mmeverse-mc-eiu": Release(
        mmeverse("MC-EIU", ("video_id", "mode", "emotion", "intent", "Subtitle"), ("m1", "train", "happy", "agreeing", "Sure!")),
        [{"id": "mc-eiu/m1", "emotion": "happy", "intent": "agreeing"}],
    ),
    "mmeverse-mafw": Release(
        mmeverse(
            "MAFW",
            ("video_id", "mode", "single_label", "multi_label", "text_whisper"),
            ("00001", "train", "anger", "", ""),
            ("00002", "test", "", "anger, disgust", ""),
        ),
        [
            {"id": "mafw/mmeverse/00001", "emotion": "anger", "multi-label": None},
            {"id": "mafw/mmeverse/00002", "split": "test", "emotion": None, "multi-label": ("anger", "disgust")},
        ],
    ),
    "mmeverse-bold": Release(
        mmeverse("BOLD", ("video_id", "mode", "Emotion_label", "text_whisper"), ("b1", "val", "Peace, Doubt/Confusion", "")),
        [{"id": "bold/b1", "split": "val", "multi-label": ("peace", "doubt/confusion")}],
    ),
    "mmeverse-e3": Release(
        mmeverse("E3", ("video_id", "mode", "emotion", "conversation", "person"), ("e1", "test", "sarcastic", "Great.", "he")),
        [{"id": "e3/e1", "split": "test", "emotion": "sarcastic"}],
    ),
    "mmeverse-iemocap": Release(
        mmeverse(
            "IEMOCAP",
            ("video_id", "session", "official_label", "text"),
            ("Ses01F_impro01_F000", "Session1", "excited", "Yes!"),
            ("Ses05F_impro01_F000", "Session5", "anger", "No!"),
        ),
        [
            {"id": "iemocap/Ses01F_impro01_F000", "split": "train", "emotion": "excited"},
            {"id": "iemocap/Ses05F_impro01_F000", "split": "test", "emotion": "anger"},
        ],
    ),
    "mmeverse-ch-sims-v2": Release(
        mmeverse("CH-SIMS_v2_s", ("video_id", "mode", "annotation", "text"), ("s1", "valid", "Positive", "好")),
        [{"id": "ch-sims-v2/s1", "split": "val", "sentiment": "positive"}],
    ),
    "mmeverse-cmu-mosi": Release(
        mmeverse("CMU-MOSI", ("video_id", "mode", "sentiment_label", "text"), ("m1", "test", "Negative", "bad")),
        [{"id": "cmu-mosi/m1", "split": "test", "sentiment": "negative"}],
    ),
    "mmeverse-cmu-mosei": Release(
        mmeverse("CMU-MOSEI", ("video_id", "clip_id", "mode", "sentiment_label", "text"), ("m1", "3", "train", "Neutral", "so")),
        [{"id": "cmu-mosei/m1_3", "split": "train", "sentiment": "neutral", "video": "video/m1_3.mp4"}],
    ),
    "mmeverse-meld": Release(
        mmeverse("MELD", ("video_id", "mode", "Emotion", "Sentiment", "text"), ("dia0_utt0", "dev", "sadness", "Negative", "oh")),
        [{"id": "meld/dia0_utt0", "split": "val", "emotion": "sad", "sentiment": "negative"}],
    ),
}


def write(release, root):
    for name, text in release.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root
