from emollm.commands.progress import told_progress


def test_without_a_terminal_lines_tell_how_far_it_is_but_not_all_of_them(capsys):
    with told_progress() as teller:
        faces, voices = teller("faces"), teller("voices")
        for n in range(1, 51):
            faces(n, 50)
        voices(1, 9)
    said = [line for line in capsys.readouterr().out.splitlines() if " of " in line]
    assert said == ["faces: 1 of 50", "voices: 1 of 9"]
