"""What goes along with a class, and what is refused, by file and line."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from hfl_registry._code._bundle import CodeBundle, bundle
from hfl_registry.errors import UnportableCodeError

Gather = Callable[..., CodeBundle]


@pytest.fixture
def gather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gather]:
    """Write modules, import one, and gather the code of its class `Net`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def run(files: Any, module: str = "own.net", **options: Any) -> CodeBundle:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        written.append(module.partition(".")[0])
        importlib.invalidate_caches()
        return bundle([importlib.import_module(module).Net], **options)

    yield run
    for module in [key for key in sys.modules if key.partition(".")[0] in written]:
        del sys.modules[module]


def refusal(gather: Gather, *arguments: Any, **options: Any) -> str:
    with pytest.raises(UnportableCodeError) as caught:
        gather(*arguments, **options)
    return caught.value.message


def text_of(found: CodeBundle, name: str) -> str:
    return found.files[name].decode()


def test_a_relative_import_of_a_neighbour_stays_as_it_is(gather: Gather) -> None:
    text = "from .parts import PART\n\n\nclass Net:\n    part = PART\n"
    found = gather({"own/__init__.py": "", "own/net.py": text, "own/parts.py": "PART = 1\n"})
    assert text_of(found, "net.py") == text
    assert text_of(found, "parts.py") == "PART = 1\n"


def test_imports_of_every_form_are_rewritten_to_one_folder(gather: Gather) -> None:
    found = gather(
        {
            "own/__init__.py": "",
            "own/sub/__init__.py": "from own.sub.deep import thing as renamed\n",
            "own/sub/deep.py": "thing = 1\n",
            "own/more.py": "value = 2\n",
            "own/net.py": """\
                import os, own.more
                import own.sub.deep as deep
                from own.sub import renamed
                from own import more as again


                class Net:
                    values = (own.more.value, deep.thing, renamed, again.value, os.sep)
                """,
        }
    )
    lines = text_of(found, "net.py").splitlines()
    assert lines[0] == "import os; from . import more"
    assert lines[1] == "from . import sub_deep as deep"
    assert lines[2] == "from .sub_deep import thing as renamed"
    assert "(more.value, deep.thing, renamed, again.value, os.sep)" in lines[7]
    # The package that only hands the name on is not needed.
    assert sorted(found.files) == ["more.py", "net.py", "sub_deep.py"]


def test_modules_of_the_same_name_in_two_places_stay_apart(gather: Gather) -> None:
    found = gather(
        {
            "own/__init__.py": "",
            "own/a_b.py": "one = 1\n",
            "own/a/__init__.py": "",
            "own/a/b.py": "two = 2\n",
            "own/net.py": """\
                from .a.b import two
                from .a_b import one


                class Net:
                    both = (one, two)
                """,
        }
    )
    assert sorted(found.files) == ["a_b.py", "a_b_2.py", "net.py"]


def test_a_loader_that_follows_one_step_gets_all_files_named(gather: Gather) -> None:
    found = gather(
        {
            "own/__init__.py": "",
            "own/one.py": "from .two import x\n",
            "own/two.py": "x = 1\n",
            "own/net.py": "from .one import x\n\n\nclass Net:\n    x = x\n",
        }
    )
    assert "    from .two import __name__\n" in text_of(found, "net.py")


def test_what_is_for_type_checkers_only_is_not_brought_along(gather: Gather) -> None:
    found = gather(
        {
            "own/__init__.py": "",
            "own/heavy.py": "raise RuntimeError\n",
            "own/net.py": """\
                from typing import TYPE_CHECKING

                if TYPE_CHECKING:
                    from own.heavy import Heavy


                class Net:
                    pass
                """,
        }
    )
    assert sorted(found.files) == ["net.py"]
    assert "own" not in text_of(found, "net.py")


def test_what_pip_installs_is_listed_with_its_version(gather: Gather) -> None:
    import numpy

    found = gather(
        {"solo.py": """\
                import json
                import numpy
                try:
                    import pytest
                except ImportError:
                    pytest = None


                class Net:
                    pass
                """},
        "solo",
    )
    assert found.requirements == (f"numpy=={numpy.__version__}",)


def test_what_is_declared_is_not_followed(gather: Gather) -> None:
    files = {
        "helper/__init__.py": "x = 1\n",
        "solo.py": "import helper\n\n\nclass Net:\n    x = helper.x\n",
    }
    found = gather(files, "solo", requirements=["helper>=1"])
    assert found.requirements == ("helper>=1",)
    assert sorted(found.files) == ["solo.py"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import nowhere_at_all", "nowhere_at_all is not there"),
        ("import importlib; importlib.import_module('own.x')", "imports own.x by a call"),
        ("import importlib; importlib.import_module(__name__)", "imports something by a call"),
        ("PATH = '/home/ann/words.txt'", "names a place of this machine"),
        ("from importlib import resources; resources.files('own')", "Path(__file__).parent"),
    ],
)
def test_what_cannot_travel_is_refused_with_its_line(
    line: str, reason: str, gather: Gather
) -> None:
    body = f"def later():\n    {line}\n\n\nclass Net:\n    pass\n"
    message = refusal(gather, {"own/__init__.py": "", "own/net.py": body})
    assert "own/net.py:2" in message
    assert reason in message


def test_compiled_code_is_refused_with_the_line_that_imports_it(
    gather: Gather, tmp_path: Path
) -> None:
    from importlib.machinery import EXTENSION_SUFFIXES

    (tmp_path / "own").mkdir()
    (tmp_path / "own" / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    body = "class Net:\n    def go(self):\n        from . import fast\n"
    assert "own/net.py:3 (own.fast is compiled)" in refusal(
        gather, {"own/__init__.py": "", "own/net.py": body}
    )


def test_all_that_cannot_travel_is_named_at_once(gather: Gather) -> None:
    body = "def f():\n    import nothing_a\n    import nothing_b\n\n\nclass Net:\n    pass\n"
    message = refusal(gather, {"own/__init__.py": "", "own/net.py": body})
    assert "own/net.py:2" in message
    assert "own/net.py:3" in message


def test_a_file_whose_name_is_made_at_run_time_has_to_be_named(
    gather: Gather, tmp_path: Path
) -> None:
    files = {
        "own/__init__.py": "",
        "own/words.txt": "a b",
        "own/net.py": """\
            from pathlib import Path


            class Net:
                def words(self, name):
                    return (Path(__file__).parent / f"{name}.txt").read_text()
            """,
    }
    assert "own/net.py:6 (the name of a file is made at run time" in refusal(gather, files)
    found = bundle([sys.modules["own.net"].Net], files=[str(tmp_path / "own" / "words.txt")])
    assert "own/words.txt" in text_of(found, "hfl_data_files.py")


def test_a_file_outside_of_the_package_is_refused(gather: Gather) -> None:
    files = {
        "own/__init__.py": "",
        "outside.txt": "a",
        "own/net.py": """\
            from pathlib import Path

            WORDS = (Path(__file__).parents[1] / "outside.txt").read_text()


            class Net:
                pass
            """,
    }
    assert "own/net.py:3 (outside.txt lies outside of the package)" in refusal(gather, files)


def test_a_class_inside_a_function_is_refused() -> None:
    class Net:
        def forward(self) -> None:
            pass

    with pytest.raises(UnportableCodeError, match=r"test_code\.py:\d+ \(Net is defined inside"):
        bundle([Net])


def test_a_class_that_no_file_defines_is_refused() -> None:
    made = type("Made", (), {"__module__": __name__})
    with pytest.raises(UnportableCodeError, match="made at run time"):
        bundle([made])


def run_script(path: Path) -> str:
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_of_a_script_only_the_definitions_are_taken(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent("""\
            import json
            import math

            SCALE = math.pi

            def helper(x):
                return x * SCALE

            class Net:
                def forward(self, x):
                    return helper(x)

            def unused():
                return json.dumps({})

            from hfl_registry._code._bundle import bundle
            found = bundle([Net], name="my-net")
            print("training" * 0 + "|".join(sorted(found.files)))
            print(found.files["modeling_my_net.py"].decode())
            """))
    out = run_script(script)
    assert out.startswith("modeling_my_net.py\n")
    assert "def helper(x):" in out
    assert "SCALE = math.pi" in out
    assert "unused" not in out
    assert "bundle" not in out


NOTEBOOK = """
import linecache, sys
cells = {
    "<ipython-input-1-aa>": "import math\\nclass Net:\\n    old = True\\n",
    "<ipython-input-2-bb>": "class Net:\\n    def forward(self):\\n        return math.pi\\n",
    "<ipython-input-3-cc>": "print('trains')\\n",
}
for name, text in cells.items():
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"))
get_ipython = None
from hfl_registry._code._bundle import bundle
print(bundle([Net], name="note").files["modeling_note.py"].decode())
"""


def test_of_a_notebook_the_newest_definition_is_taken(tmp_path: Path) -> None:
    script = tmp_path / "kernel.py"
    script.write_text(NOTEBOOK)
    out = run_script(script).split("trains\n")[1]
    assert out.startswith("import math\n\n\nclass Net:\n    def forward")
    assert "old" not in out
    assert "trains" not in out


def test_what_was_typed_into_a_prompt_is_refused_with_the_way_out(tmp_path: Path) -> None:
    program = (
        "class Net:\n    pass\n"
        "from hfl_registry._code._bundle import bundle\n"
        "from hfl_registry import UnportableCodeError\n"
        "try:\n    bundle([Net])\n"
        "except UnportableCodeError as error:\n    print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    )
    assert "save it as a .py file" in done.stdout


def test_what_a_notebooks_class_lacks_is_named(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "class Net:\n    def forward(self):\n        return missing_name\n\n"
        "globals()['Net'].__name__ = 'Gone'\n"
        "from hfl_registry._code._bundle import bundle\n"
        "from hfl_registry import UnportableCodeError\n"
        "try:\n    bundle([Net])\n"
        "except UnportableCodeError as error:\n    print(error.message)\n"
    )
    assert "train.py (uses 'Gone', which it does not define)" in run_script(script)
