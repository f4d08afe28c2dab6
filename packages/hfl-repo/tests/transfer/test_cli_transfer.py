from __future__ import annotations

import json


def test_a_folder_goes_up_and_comes_down(cli, repo, folder, content_of, tmp_path) -> None:
    here = folder({"config.json": "{}", "model.bin": 50_000})
    code, out, _ = cli("upload", repo.repo_id, str(here), "--dry-run", "--format", "csv")
    assert code == 0
    assert [line.split(",")[:2] for line in out.splitlines()[1:]] == [
        ["add", "config.json"],
        ["add", "model.bin"],
    ]
    assert json.loads(cli("upload", repo.repo_id, str(here), "--format", "json")[1])["files"]
    code, out, err = cli("upload", repo.repo_id, str(here))
    assert code == 0
    assert "Nothing to change" in err
    assert "There already" in out
    code, out, err = cli("diff", repo.repo_id, str(here))
    assert (code, out) == (0, "")
    assert "no difference" in err
    code, out, _ = cli(
        "download", repo.repo_id, "*.bin", "*.json", "--to", str(tmp_path / "out"),
        "--format", "json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out) == {"path": str(tmp_path / "out")}
    assert content_of(tmp_path / "out") == content_of(here)


def test_what_changed_is_shown_in_a_table(cli, repo, folder) -> None:
    code, out, _ = cli("upload", repo.repo_id, str(folder({"a.txt": "a"})), "in", "-m", "First")
    assert code == 0
    assert "Files changed" in out
    assert "1 B" in out
    code, out, _ = cli("diff", repo.repo_id, str(folder({})), "in", "--delete")
    assert (code, out) == (0, "")
    code, out, _ = cli("diff", repo.repo_id, str(folder({"b.txt": "b"})), "in")
    assert out.splitlines()[1].split()[:2] == ["add", "in/b.txt"]


def test_refusals_have_exit_codes(cli, repo, folder, tmp_path) -> None:
    token = "hf_" + "abcdEFGH1234ijklMNOP5678qrstUVWX90"
    here = folder({"a.txt": f"x {token}"})
    code, out, err = cli("upload", repo.repo_id, str(here))
    assert code == 9
    assert "a.txt: line 1" in err
    assert token not in out + err
    assert cli("upload", repo.repo_id, str(here), "--allow", "a.txt:secret", "--public")[0] == 0
    assert cli("upload", repo.repo_id, str(here), "--private")[0] == 6
    assert cli("upload", repo.repo_id, str(tmp_path / "absent"))[0] == 1
    assert cli("upload", repo.repo_id, str(here), "--revision", "absent")[0] == 4
    assert cli("download", repo.repo_id, "absent")[0] == 4


def test_a_card_that_is_left_out_is_warned_about(cli, repo, folder) -> None:
    here = folder({"README.md": "---\ntags: 7\n---\n", "a.txt": "a"})
    code, _, err = cli("upload", repo.repo_id, str(here), "--exclude", "*.log")
    assert code == 0
    assert "README.md was left out" in err
