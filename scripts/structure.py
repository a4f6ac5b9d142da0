"""Counts the structure of a checkout: `python -m scripts.structure [CHECKOUT] [--against REV] [--list FIGURE]`.

Everything is read from the source text, so any commit can be counted, but for the modules that an `invoke` passes:
there `scripts/invoke_probe.py` runs one against a fake service. What each figure means stands at its function; `--list`
prints what a figure is made of, one line for each finding, to be worked off.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

HERE = Path(__file__).parents[1]
FOUNDATION, LANGCHAIN, LLAMA_INDEX = "mistral_agents", "langchain_mistral_agents", "llama_index_mistral_agents"
WINGS = (LANGCHAIN, LLAMA_INDEX)
ALL = (FOUNDATION, *WINGS)

# What a function does, in the imperative; behind the empty line, questions and the third person. Words that are nouns
# in this field (`block`, `chunk`, `query`, `state`, `turn`, `type`) are no verbs here.
_VERBS = """
accept add adopt advance aggregate align allocate allow answer append apply ask assemble assert assign attach await
begin bind branch break build bundle cache calculate call cancel carry catch change check choose cite claim classify
clean clear clip clone close collapse collect combine commit compact compare compile complete compose compress compute
condense configure confirm connect consume continue convert copy correct count create cut decide declare decode
deduplicate defer define delete deliver demand derive describe detach detect determine discard dispatch distinguish
download drain draw drive drop dump embed emit encode end enforce enrich ensure enter enumerate erase escape establish
estimate evaluate examine exclude execute exit expand expect explain export express extend extract fail fetch fill
filter find finish fit fix flag flatten flush fold follow forbid forget fork format forward freeze gather generate get
give grant group grow guard guess handle hash hide hold identify ignore import include increment infer inherit inject
insert inspect install interpret interrupt invoke iterate join keep label land launch learn leave limit link list load
locate lock log look make map mark match measure meet merge migrate mirror move narrow normalise normalize note notify
obey observe obtain offer omit open order pack pad parse partition pass paste patch pause peek perform permit persist
pick pin plan poll pop prefer prepare present preserve print process produce project promote protect prove provide
prune publish pull pump push put quote raise rank reach read rebuild receive recognise recognize reconcile record
recover redact reduce refer refresh refuse register reject relate release reload remember remove rename render renew
reopen repair repeat replace replay reply report represent request require rescore reserve reset resolve respond
restart restore resume retrieve retry return reuse reveal revert review revise rewind rewrite round route run sanitise
sanitize save say scan score seal search see select send separate serialise serialize serve set settle shift shorten
show shrink shut sign skip slice sort speak specify split spread start stop store stream strip submit subscribe
subtract suggest summarise summarize supply surround suspend swap switch sync synchronise take tally tell terminate
test think throw tidy touch trace track transform translate traverse treat trim truncate try undo unfold unify unpack
unwrap update upgrade upload use validate verify visit wait wake walk warn watch weigh withdraw wrap write yield

accepts allows applies are asks belongs begins can closes comes contains covers did differs does ends equals exists
falls fits follows goes had happens has have holds is keeps knows lacks may must needs owns passes reads refers
repeats requires runs says sends should starts stops supports takes wants waits will would
"""
VERBS = frozenset(_VERBS.split())

# Private names that a framework looks up: LangChain's and LlamaIndex's, not ours to choose.
_HOOKS = """
_llm_type _identifying_params _get_ls_params _get_request_payload _generate _agenerate _stream _astream
_stream_chat_model_events _astream_chat_model_events _get_relevant_documents _aget_relevant_documents _convert_input
_retrieve _aretrieve _postprocess_nodes _apostprocess_nodes _insert _build_retriever_from_spec _parse_generated_spec
_prepare_chat_with_tools _structured_stream_call _structured_astream_call _aget _aput _atruncate
"""
HOOKS = frozenset(_HOOKS.split())
PROPERTIES = frozenset({"property", "cached_property", "setter", "deleter", "computed_field"})

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Module:
    """One file of source: its dotted name, where it is, and what it says."""

    name: str
    path: str
    text: str
    is_package: bool

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @property
    def lines(self) -> int:
        """How many lines the file has."""
        return len(self.text.splitlines())


@dataclass
class Checkout:
    """The source of the foundation and the wings in a folder."""

    root: Path
    _read: dict[str, list[Module]] = field(default_factory=dict)

    def modules(self, *packages: str) -> list[Module]:
        """The modules of packages, in the order of their paths."""
        return [module for package in packages for module in self._read_package(package)]

    def _read_package(self, package: str) -> list[Module]:
        if package not in self._read:
            files = sorted((self.root / package).rglob("*.py"))
            self._read[package] = [self._read_module(file) for file in files]
        return self._read[package]

    def _read_module(self, file: Path) -> Module:
        path = file.relative_to(self.root)
        parts = path.with_suffix("").parts
        is_package = parts[-1] == "__init__"
        return Module(
            ".".join(parts[:-1] if is_package else parts), path.as_posix(), file.read_text("utf-8"), is_package
        )

    @cached_property
    def passed(self) -> list[str] | None:
        """The modules that a plain invoke passes; None, with the reason on stderr, if it can't be run."""
        probe = Path(__file__).with_name("invoke_probe.py")
        command = [sys.executable, str(probe), str(self.root.resolve())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            print(f"No invoke in {self.root}: {done.stderr.strip()[-2000:]}", file=sys.stderr)
            return None
        files: list[str] = json.loads(done.stdout)
        return files


# Imports


def imports_of(module: Module, known: Iterable[str], *, for_types: bool = False) -> set[str]:
    """The modules among `known` that a module imports when it runs, in its functions too.

    `for_types`: with what is imported under `if TYPE_CHECKING` only.
    """
    names = set(known)
    found = set()
    for node in _walk_imports(module.tree.body, for_types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            base = _resolve_base(module, node)
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in names else base for alias in node.names}
    return (found & names) - {module.name}


def _walk_imports(nodes: Iterable[ast.AST], for_types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and not for_types and _is_for_types(node.test):
            yield from _walk_imports(node.orelse, for_types)
        else:
            yield from _walk_imports(ast.iter_child_nodes(node), for_types)


def _is_for_types(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _resolve_base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, node.module] if node.module else package)


def read_graph(checkout: Checkout, *, for_types: bool = False) -> dict[str, set[str]]:
    """The import graph of the foundation: each module and what it imports of it."""
    modules = checkout.modules(FOUNDATION)
    known = [module.name for module in modules]
    return {module.name: imports_of(module, known, for_types=for_types) for module in modules}


def find_circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of two or more modules that all reach each other, each sorted."""
    reach = {name: _reachable(graph, name) for name in graph}
    circles = {frozenset(n for n in reach[name] if name in reach[n]) for name in graph if name in reach[name]}
    return sorted(sorted(circle) for circle in circles)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [*graph[start]]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(graph[name])
    return seen


def find_longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """The floors: the longest chain of imports, from the roof down, with each circle taken as one floor."""
    label = {name: name for name in graph}
    for circle in find_circles(graph):
        label.update(dict.fromkeys(circle, f"circle of {len(circle)} ({circle[0]} …)"))
    below: dict[str, set[str]] = defaultdict(set)
    for name, targets in graph.items():
        below[label[name]] |= {label[target] for target in targets} - {label[name]}
    chains: dict[str, list[str]] = {}

    def measure(name: str) -> list[str]:
        if name not in chains:
            chains[name] = [name, *max((measure(n) for n in sorted(below[name])), key=len, default=[])]
        return chains[name]

    return max((measure(name) for name in sorted(below)), key=len, default=[])


# Names


def private_functions(modules: Iterable[Module]) -> Iterator[tuple[Module, Function]]:
    """The private functions and methods whose names are ours to choose: no dunder, no property, no framework's hook."""
    for module in modules:
        for node in ast.walk(module.tree):
            if (
                isinstance(node, FUNCTIONS)
                and node.name.startswith("_")
                and not node.name.startswith("__")
                and node.name not in HOOKS
                and not PROPERTIES & _decorators(node)
            ):
                yield module, node


def _decorators(node: Function) -> set[str]:
    names = set()
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(ast.unparse(called).rpartition(".")[2])
    return names


def begins_with_verb(name: str) -> bool:
    """Whether a function's name begins with a verb, or with the `a` of an async twin and a verb."""
    first = name.strip("_").split("_")[0]
    return first in VERBS or (first.startswith("a") and first[1:] in VERBS)


def names_defined_twice(modules: Iterable[Module]) -> dict[str, list[str]]:
    """The functions and classes that two or more files define at module level, private ones and dunders included."""
    homes: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for node in module.tree.body:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                homes[node.name].add(module.path)
    return {name: sorted(paths) for name, paths in sorted(homes.items()) if len(paths) > 1}


# Types and docstrings


def find_any(modules: Iterable[Module]) -> Iterator[tuple[Module, Function, str]]:
    """The arguments (`*args` and `**kwargs` too) and returns that are annotated `Any`, alone or in a union."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, FUNCTIONS):
                for name, annotation in _slots(node):
                    if annotation is not None and _is_any(annotation):
                        yield module, node, name


def _slots(node: Function) -> Iterator[tuple[str, ast.expr | None]]:
    arguments = node.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg, argument.annotation
    if arguments.vararg:
        yield f"*{arguments.vararg.arg}", arguments.vararg.annotation
    if arguments.kwarg:
        yield f"**{arguments.kwarg.arg}", arguments.kwarg.annotation
    yield "return", node.returns


def _is_any(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.BinOp):
        return _is_any(annotation.left) or _is_any(annotation.right)
    return ast.unparse(annotation) in {"Any", "typing.Any", "Optional[Any]"}


def public_definitions(modules: Iterable[Module]) -> Iterator[tuple[Module, ast.AST, bool]]:
    """Modules, and the public classes, functions and methods in them; and whether each has a docstring.

    Left out are overloads, setters, overrides (they have the docstring of what they override) and what stands in a
    private class or in a function.
    """
    for module in modules:
        yield module, module.tree, ast.get_docstring(module.tree) is not None
        yield from _public_in(module, module.tree)


def _public_in(module: Module, parent: ast.Module | ast.ClassDef) -> Iterator[tuple[Module, ast.AST, bool]]:
    for node in parent.body:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield from _public_in(module, node)
        elif _decorators(node) & {"overload", "override", "setter", "deleter"}:
            continue
        yield module, node, ast.get_docstring(node) is not None


# Figures


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        key: what `--list` calls it; rows may share one.
        title: what it is called in the table.
        measure: its value in a checkout; None if it could not be measured.
        find: the findings behind it, one a line.
        aim: what the value should be.
    """

    key: str
    title: str
    measure: Callable[[Checkout], str | None]
    find: Callable[[Checkout], Iterable[str]]
    aim: str = ""


def _count_size(title: str, *packages: str, aim: str = "") -> list[Figure]:
    def find(checkout: Checkout) -> Iterator[str]:
        for module in sorted(checkout.modules(*packages), key=lambda module: -module.lines):
            yield f"{module.lines:5} {module.path}"

    def count_modules(checkout: Checkout) -> str:
        return str(len(checkout.modules(*packages)))

    def count_lines(checkout: Checkout) -> str:
        return str(sum(module.lines for module in checkout.modules(*packages)))

    return [
        Figure("modules", f"modules, {title}", count_modules, find),
        Figure("lines", f"lines, {title}", count_lines, find, aim),
    ]


def _count_any(title: str, package: str, aim: str) -> Figure:
    def measure(checkout: Checkout) -> str:
        modules = checkout.modules(package)
        lines = sum(module.lines for module in modules)
        return f"{1000 * len(list(find_any(modules))) / max(lines, 1):.1f}"

    def find(checkout: Checkout) -> Iterator[str]:
        for module, node, name in find_any(checkout.modules(package)):
            yield f"{module.path}:{node.lineno}: {node.name}: {name}"

    return Figure("any", f"`Any` in arguments and returns per 1,000 lines, {title}", measure, find, aim)


def _count_circles(title: str, *, for_types: bool, aim: str) -> Figure:
    def measure(checkout: Checkout) -> str:
        circles = find_circles(read_graph(checkout, for_types=for_types))
        sizes = ", ".join(str(len(circle)) for circle in circles)
        return f"{len(circles)} (of {sizes} modules)" if circles else "0"

    def find(checkout: Checkout) -> Iterator[str]:
        graph = read_graph(checkout, for_types=for_types)
        for circle in find_circles(graph):
            yield f"a circle of {len(circle)}:"
            for name in circle:
                yield f"  {name} imports {', '.join(sorted(graph[name] & {*circle}))}"

    return Figure("type-circles" if for_types else "circles", title, measure, find, aim)


def _measure_share(parts: Iterable[bool]) -> str:
    counted = [*parts]
    return f"{100 * sum(counted) / max(len(counted), 1):.1f} % ({sum(counted)} of {len(counted)})"


def _count_verbs(title: str, *packages: str, aim: str = "") -> Figure:
    def measure(checkout: Checkout) -> str:
        return _measure_share(begins_with_verb(node.name) for _, node in private_functions(checkout.modules(*packages)))

    def find(checkout: Checkout) -> Iterator[str]:
        for module, node in private_functions(checkout.modules(*packages)):
            if not begins_with_verb(node.name):
                yield f"{module.path}:{node.lineno}: {node.name}"

    return Figure("verbs", f"private functions whose name begins with a verb, {title}", measure, find, aim)


def _measure_floors(checkout: Checkout) -> str:
    return str(len(find_longest_chain(read_graph(checkout))))


def _find_floors(checkout: Checkout) -> list[str]:
    return find_longest_chain(read_graph(checkout))


def _measure_passed(checkout: Checkout) -> str | None:
    return None if checkout.passed is None else str(len(checkout.passed))


def _find_passed(checkout: Checkout) -> list[str]:
    return checkout.passed or []


def _measure_names(checkout: Checkout) -> str:
    return str(len(names_defined_twice(checkout.modules(*ALL))))


def _find_names(checkout: Checkout) -> Iterator[str]:
    for name, paths in names_defined_twice(checkout.modules(*ALL)).items():
        yield f"{name}: {', '.join(paths)}"


def _measure_docstrings(checkout: Checkout) -> str:
    return _measure_share(has for _, _, has in public_definitions(checkout.modules(*ALL)))


def _find_undocumented(checkout: Checkout) -> Iterator[str]:
    for module, node, has in public_definitions(checkout.modules(*ALL)):
        if not has:
            yield f"{module.path}:{getattr(node, 'lineno', 1)}: {getattr(node, 'name', module.name)}"


FIGURES = (
    *_count_size("foundation", FOUNDATION),
    *_count_size("LangChain wing", LANGCHAIN),
    *_count_size("LlamaIndex wing", LLAMA_INDEX),
    *_count_size("wings together", *WINGS, aim="800 fewer"),
    Figure("floors", "import floors of the foundation", _measure_floors, _find_floors, "≤ 11"),
    _count_circles("import circles of the foundation", for_types=False, aim="0"),
    _count_circles("the same with imports for types only", for_types=True, aim=""),
    Figure("invoke", "modules that a plain `invoke` passes", _measure_passed, _find_passed, "≤ 18"),
    _count_verbs("all", *ALL, aim="≥ 65 %"),
    _count_verbs("foundation", FOUNDATION),
    _count_verbs("LangChain wing", LANGCHAIN),
    _count_verbs("LlamaIndex wing", LLAMA_INDEX),
    Figure("names", "names defined at module level in two or more files", _measure_names, _find_names, "≤ 35"),
    _count_any("foundation", FOUNDATION, "≤ 8"),
    _count_any("LangChain wing", LANGCHAIN, ""),
    _count_any("LlamaIndex wing", LLAMA_INDEX, "≤ 8"),
    Figure("docstrings", "public docstrings", _measure_docstrings, _find_undocumented, "100 %"),
)


def render_table(columns: dict[str, Checkout]) -> str:
    """A Markdown table: a row for each figure, a column for each checkout, and the aim."""
    rows = [["figure", *columns, "aim"], ["---", *("---:" for _ in columns), "---:"]]
    for figure in FIGURES:
        values = [figure.measure(checkout) for checkout in columns.values()]
        rows.append([figure.title, *("not measured" if value is None else value for value in values), figure.aim])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def list_findings(key: str, checkout: Checkout) -> list[str]:
    """What a figure is made of. Rows that share a key are put together, each finding once."""
    return [*dict.fromkeys(line for figure in FIGURES if figure.key == key for line in figure.find(checkout))]


@contextmanager
def open_revision(repository: Path, revision: str) -> Iterator[Path]:
    """A revision of a repository in a temporary work tree, which is removed again."""
    git = ["git", "-C", str(repository), "worktree"]
    with tempfile.TemporaryDirectory(prefix="structure-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def main(arguments: list[str] | None = None) -> None:
    """Print the table, or the findings of one figure."""
    parser = argparse.ArgumentParser(description="Counts the structure of the foundation and the wings.")
    parser.add_argument("checkout", nargs="?", type=Path, default=HERE, help="the folder to count; default: this one")
    parser.add_argument("--against", metavar="REV", help="a revision of that checkout, for a column `before`")
    parser.add_argument("--list", choices=sorted({figure.key for figure in FIGURES}), help="print a figure's findings")
    options = parser.parse_args(arguments)
    checkout = Checkout(options.checkout.resolve())
    if options.list:
        print("\n".join(list_findings(options.list, checkout)))
    elif options.against:
        with open_revision(checkout.root, options.against) as before:
            print(render_table({"before": Checkout(before), "after": checkout}))
    else:
        print(render_table({"now": checkout}))


if __name__ == "__main__":
    main()
