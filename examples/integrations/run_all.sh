#!/usr/bin/env bash
# Run the examples for other libraries, each in a virtual environment of its own.
#
#   examples/integrations/run_all.sh                      all of them
#   examples/integrations/run_all.sh torchrl tianshou     some of them
#
# The environments go to $WORK (default: a folder next to the system's temporary files) and are used again. Their
# dependencies conflict, so no single environment can hold them all. torch comes first, and from the index
# $TORCH_INDEX where one is given, which is asked for nothing else: the libraries would otherwise pull CUDA builds.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${WORK:-${TMPDIR:-/tmp}/stackelberg-integrations}
python=${PYTHON:-python3}
torch=(${TORCH_INDEX:+--index-url "$TORCH_INDEX"})
export OMP_NUM_THREADS=1
mkdir -p "$work"

declare -A packages=(
  [cleanrl]=""
  [stable_baselines3]="stable-baselines3==2.9.2"
  [tianshou]="tianshou==2.0.1"
  [torchrl]="torchrl==0.14.1"
  [rllib]="ray[rllib]==2.60.0"
  [benchmarl]="benchmarl==1.5.2 torchvision==0.28.0"
)
declare -A scripts=([cleanrl]=cleanrl_style.py)

rm -rf "$work/source" "$work/wheel"
mkdir -p "$work/source"
(cd "$root" && tar -cf - --exclude-vcs --exclude=./build --exclude=./runs --exclude=./.venv .) | tar -xf - -C "$work/source"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/wheel" "$work/source" # built apart: it writes into its source

failed=()
for library in "${@:-cleanrl stable_baselines3 tianshou torchrl rllib benchmarl}"; do
  for name in $library; do
    environment=$work/venv-$name
    [ -d "$environment" ] || "$python" -m venv "$environment"
    pip=("$environment/bin/pip" install --quiet)
    "${pip[@]}" "${torch[@]}" torch==2.13.0
    [ "$name" != benchmarl ] || "${pip[@]}" "${torch[@]}" --no-deps torchvision==0.28.0
    # shellcheck disable=SC2086
    "${pip[@]}" torch==2.13.0 ${packages[$name]} "$work"/wheel/*.whl
    "${pip[@]}" --no-deps --force-reinstall "$work"/wheel/*.whl
    echo "== $name"
    "$environment/bin/python" "$here/${scripts[$name]:-with_$name.py}" 2>"$work/$name.log" || failed+=("$name (see $work/$name.log)")
  done
done
if [ ${#failed[@]} -gt 0 ]; then
  printf 'failed: %s\n' "${failed[@]}"
  exit 1
fi
