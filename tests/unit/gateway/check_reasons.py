"""Every reason that the gateway's sources give stands in the registry, and the registry has no other."""
import pathlib
import re
import sys

folder = pathlib.Path(__file__).resolve().parents[3] / "gateway"
word = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"')
registry = {}
for name, status, code in re.findall(r'\{ "([A-Z_]+)", (\d+), (NRPC_[A-Z_]+),', (folder / "reasons.c").read_text()):
    assert name not in registry, f"{name} stands twice"
    registry[name] = (status, code)
assert list(registry) == sorted(registry), "the registry is not in order"

used = {}
for path in sorted(folder.glob("*.c")):
    if path.name == "reasons.c":
        continue
    text = path.read_text()
    for call in re.finditer(r"\bexchange_fail\(\s*x,", text):
        for literal in re.findall(r'"([^"\n]*)"', text[call.end():call.end() + 300]):
            if not word.fullmatch(f'"{literal}"'):
                break  # the text for people
            used.setdefault(literal, path.name)
    for choice in re.finditer(r'\bconst char \*code = (.*?);', text, re.S):
        for name in word.findall(choice.group(1)):
            used.setdefault(name, path.name)
missing = {name: where for name, where in used.items() if name not in registry}
idle = set(registry) - set(used)
if missing or idle or len(used) < 15:
    sys.exit(f"not in gateway/reasons.c: {missing}; in the registry, but nowhere used: {sorted(idle)}")
print(f"{len(registry)} reasons")
