#!/usr/bin/env bash
# Train from the recipes in this folder, one after the other, on a machine with a GPU and maybe without a network:
#
#   examples/recipes/gpu/train.sh PHOTOS OUT [RECIPE...] [KEY=VALUE...]
#   MINUTES=6 SECONDS_LEFT=550 examples/recipes/gpu/train.sh photos out photo lm-liif-lite
#
# PHOTOS is a folder of clean pictures. OUT gets a folder for each run, with a checkpoint every two minutes. The same
# command goes on where it stopped. MINUTES is the budget of each run. After SECONDS_LEFT seconds, the script saves a
# checkpoint and ends, as a machine that is lent for a time wants it. KEY=VALUE changes all recipes.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
photos="${1:?folder of clean pictures}" out="${2:?folder of the runs}"
shift 2
names=() changes=()
for word in "$@"; do if [[ "$word" == *=* ]]; then changes+=("$word"); else names+=("$word"); fi; done
((${#names[@]})) || names=(photo lm-liif-lite nlrn-lite nlrn-diinn-lite)

# Toolbox as it is installed, or from this checkout; its dependencies from a folder `wheels` beside it, if it is there.
if ! python3 -c 'import toolbox.cli' 2> /dev/null; then
  if [[ -d "$root/wheels" ]]; then
    site="$(mktemp -d)"
    python3 -m pip install --quiet --no-index --no-deps --target "$site" "$root"/wheels/*.whl
    export PYTHONPATH="$site"
  fi
  python3 -m pip install --quiet --no-build-isolation --no-deps --no-index --editable "$root"
fi

export OMP_NUM_THREADS=1 # each process that prepares pictures has one
ends=$((SECONDS + ${SECONDS_LEFT:-1000000}))
for name in "${names[@]}"; do
  mkdir -p "$out/$name"
  [[ -e "$out/$name/$name.safetensors" ]] && continue
  left=$((ends - SECONDS))
  ((left > 20)) || break
  timeout --signal TERM "$left" python3 -m toolbox train "$here/$name.yaml" "data=$photos" \
    "budget={minutes: ${MINUTES:-25}}" "${changes[@]}" --run "$out/$name" --resume --workers "$(($(nproc) - 1))" \
    || [[ $? == 124 ]]
done
