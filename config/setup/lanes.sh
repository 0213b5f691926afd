# shellcheck shell=bash
# Several pytest processes beside each other, whose words do not mix. Sourced.
#
# A shell starts what it runs beside itself with SIGINT ignored, and so would be all that the tests start:
# each lane starts pytest through env --default-signal=INT.

running=() # process ids; whoever sources this ends them when it ends itself

# run_lanes FUNCTION...: runs these at once. The first one's words are shown as they come, the others' when all
# have ended, and then how each of them ended. Returns the status of one that failed, or 0.
run_lanes() {
    local words lane process failed=0
    words=$(mktemp -d)
    touch "$words/$1"
    for lane in "$@"; do
        ("$lane") >"$words/$lane" 2>&1 &
        running+=($!)
    done
    tail -q -n +1 -f --pid="${running[0]}" "$words/$1" &
    for process in "${running[@]}"; do
        wait "$process" || failed=$?
    done
    running=()
    wait # for tail, too
    for lane in "${@:2}"; do cat "$words/$lane"; done
    for lane in "$@"; do
        printf '%s: %s\n' "${lane//_/ }" "$(tail -n 1 "$words/$lane")"
    done
    rm -rf "$words"
    return "$failed"
}

# end_lanes: they clean up, as after Ctrl-C, and then it is over. One that has not got as far as pytest does not hear
# it, so it is said again; not at once, or it would interrupt the cleaning up.
end_lanes() {
    local process tenths
    for process in "${running[@]}"; do kill -INT "$process" 2>/dev/null || true; done
    for process in "${running[@]}"; do
        for ((tenths = 1; ; tenths++)); do
            kill -0 "$process" 2>/dev/null || break
            sleep 0.1
            [ $((tenths % 100)) -ne 0 ] || kill -INT "$process" 2>/dev/null || true
        done
    done
    wait
}
