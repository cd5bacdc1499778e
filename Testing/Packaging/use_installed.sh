#!/bin/sh
# Use an installed library away from its checkout: the sample, the model, the study and its pages.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

microctsr --version
microctsr model info ear > card.txt
microctsr demo --samples 1 --output demo
test -s demo/sr.nrrd && test -s demo/preview.png

mkdir low ours theirs
microctsr phantom --output phantoms --cases 1 --seed 1 --shape 4,16,16 --spacing 0.3
cp phantoms/case_000/low.nrrd low/ear.nrrd
cp phantoms/case_000/truth.nrrd ours/ear.nrrd
cp phantoms/case_000/truth.nrrd theirs/ear.nrrd
microctsr study create study --low low --method theirs=theirs --method ours=ours --slices 1 --rater Anna

microctsr study serve study --port 0 > links.txt &
server=$!
trap 'kill "$server"; rm -rf "$work"' EXIT
for _ in $(seq 60); do
  grep -q Progress links.txt && break
  sleep 1
done
python - <<'PYTHON'
from urllib.request import urlopen

for line in open("links.txt", encoding="utf-8").read().splitlines():
    name, link = line.split()
    parts = ("", "page/rate.css", "state") if name == "Anna" else ("", "page/owner.js", "progress")
    for part in parts:
        assert urlopen(link + part).status == 200, part
print("The study is served.")
PYTHON
