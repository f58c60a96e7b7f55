#!/usr/bin/env bash
# Test and measure this project on a machine with a GPU and many cores that is available for a few minutes.
#
#     bash benchmarks/borrowed_machine.sh [REPORT]        # default: borrowed_machine.txt
#
# Runs from the root of the repository, without a network. Each part has a time limit, so a kernel that hangs does not
# end the others, and a part that fails does not either. REPORT is written again after every part: first one line for
# each part and the figures that tell most, then the output of all parts. At most nine minutes in all.
#
#     PYTHON=python3    interpreter with this project's requirements; PyTorch is optional
#     BUDGET=530        seconds in all; parts that do not fit are skipped, and named as such
#     REHEARSE=1        a cut form for a machine without a GPU: the CUDA simulator, small sizes, two threads
#
# This script has been rehearsed without a GPU only.
set -u
cd "$(dirname "$0")/.."
REPORT=${1:-borrowed_machine.txt}
PYTHON=${PYTHON:-python3}
BUDGET=${BUDGET:-530}
REHEARSE=${REHEARSE:-}
PARTS=(benchmarks/borrowed_machine_parts.py)
TESTS=tests/kernels/cuda/on_device
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export FASTRNN_KERNELS=${FASTRNN_KERNELS:-$PWD/.borrowed_machine/kernels}

work=.borrowed_machine
rm -rf "$work/parts" "$work/run" "$work/summary"
mkdir -p "$work/parts"
: > "$work/summary"
began=$SECONDS
number=0

write_report() {
    {
        echo "# fastrnn on a borrowed machine, $(date -u '+%Y-%m-%d %H:%M UTC')${REHEARSE:+, REHEARSAL WITHOUT A GPU}"
        echo
        cat "$work/summary"
        for file in "$work"/parts/*; do
            [ -e "$file" ] || continue
            echo
            echo "================ ${file##*/}"
            cat "$file"
        done
    } > "$REPORT.new" && mv "$REPORT.new" "$REPORT"
}

# part NAME LIMIT COMMAND...: run the command for at most LIMIT seconds; lines that begin with "> " go to the summary.
part() {
    local name=$1 limit=$2 start=$SECONDS left=$((BUDGET - (SECONDS - began)))
    shift 2
    number=$((number + 1))
    local file
    file="$work/parts/$(printf '%02d' "$number")-$name"
    if [ "$left" -lt 10 ]; then
        echo "$name: skipped, no time left" | tee -a "$work/summary"
        write_report
        return
    fi
    [ "$limit" -gt "$left" ] && limit=$left
    timeout --kill-after=5 "$limit" "$@" > "$file" 2>&1
    local status=$? outcome
    case $status in
        0) outcome=done ;;
        124 | 137) outcome="STOPPED after $limit s" ;;
        *) outcome="FAILED with status $status" ;;
    esac
    echo "$name: $outcome, $((SECONDS - start)) s" | tee -a "$work/summary"
    sed -n 's/^> /    /p' "$file" | tee -a "$work/summary"
    write_report
}

# Passed and failed tests, in one line of the summary.
tests() {
    "$PYTHON" -m pytest -p no:cacheprovider --override-ini addopts=--strict-markers --tb=short "$@" > "$work/pytest.log" 2>&1
    local status=$?
    cat "$work/pytest.log"
    echo "> $(tail -n 1 "$work/pytest.log")"
    grep -E '^(FAILED|ERROR)' "$work/pytest.log" | sed 's/^/> /' | cut -c1-160
    return $status
}

# A command all of whose output belongs to the summary.
summarized() {
    set -o pipefail
    "$@" | sed 's/^/> /'
}

# `timeout` starts programs, so a part that is a function runs in a shell of its own.
export PYTHON work
export -f tests summarized
test_part() {
    local name=$1 limit=$2
    shift 2
    part "$name" "$limit" bash -c 'tests "$@"' tests "$@"
}

if [ -n "$REHEARSE" ]; then
    export NUMBA_ENABLE_CUDASIM=1
    PARTS+=(--rehearse)
    threads=2 train_for=15s
else
    threads=$(nproc) train_for=60s
    [ "$threads" -gt 16 ] && threads=16
fi

part versions 40 "$PYTHON" "${PARTS[@]}" versions

# Small things first: plain kernels and cuBLAS, the first cooperative launch, then everything.
test_part plain-kernels 50 "$TESTS/test_cuda_memory.py" "$TESTS/test_cuda_matmul.py"
test_part first-cooperative-launch 45 "$TESTS/test_cuda_network.py" -k one_layer
part equal-losses 80 "$PYTHON" "${PARTS[@]}" losses
if [ -z "$REHEARSE" ]; then
    for precision in float32 bfloat16; do
        part "beside-cudnn-$precision" 70 bash -c 'summarized "$@"' summarized \
            "$PYTHON" benchmarks/gpu/gpu_speed.py --seconds 1 --precision "$precision"
    done
fi
part threads-fastrnn 70 "$PYTHON" "${PARTS[@]}" threads --program fastrnn
part threads-pytorch 60 "$PYTHON" "${PARTS[@]}" threads --program torch

# Training on the CPU with all threads; 100 s leave time to compile and to evaluate.
part one-minute-training 100 bash -c 'summarized "$@"' summarized env -u NUMBA_ENABLE_CUDASIM \
    "$PYTHON" -m fastrnn train python-reference --for "$train_for" --threads "$threads" --out "$work/run" --json

[ -z "$REHEARSE" ] && test_part all-networks 70 "$TESTS/test_cuda_network.py"
[ -z "$REHEARSE" ] && test_part training 60 "$TESTS/test_cuda_training.py"
if [ -z "$REHEARSE" ] && command -v compute-sanitizer > /dev/null; then
    part compute-sanitizer 60 compute-sanitizer --tool memcheck --error-exitcode 9 "$PYTHON" "${PARTS[@]}" step
fi

write_report
echo "report: $REPORT ($((SECONDS - began)) s)"
