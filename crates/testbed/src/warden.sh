# Waits until the test program at the other end of standard input is gone, in whatever way, then ends what it left running
# and removes its directories: $1, and the one of the same name ($2) in memory, which is below $3.
cat >/dev/null

# The brackets keep this very search from finding itself.
marked() { grep -la -- "$2[/]" /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3; }

round=0
while [ "$round" -lt 100 ]; do
    left=
    for pid in $(marked "$@"); do
        stat=$(cat "/proc/$pid/stat" 2>/dev/null) || continue
        name=${stat#*(}
        name=${name%)*}
        fields=${stat##*) }
        # The fifth is the terminal: somebody who looks into the directory is not killed.
        terminal=$(echo "$fields" | cut -d' ' -f5)
        [ "$terminal" = 0 ] || continue
        left=yes
        # A PostgreSQL that may end by itself removes its shared memory; it has two seconds.
        if [ "$name" = postgres ] && [ "$round" -lt 40 ]; then
            kill -QUIT "$pid" 2>/dev/null
            kill -CONT "$pid" 2>/dev/null
        else
            kill -KILL "$pid" 2>/dev/null
        fi
    done
    [ -n "$left" ] || break
    round=$((round + 1))
    sleep 0.05
done

# One that was killed left its shared memory behind; the seventh line names it.
for file in "$1"/*/data/postmaster.pid "$3/$2"/*/data/postmaster.pid; do
    [ -f "$file" ] && segment=$(sed -n '7s/^ *[0-9]* *//p' "$file") && [ -n "$segment" ] && ipcrm -m "$segment" 2>/dev/null
done
rm -rf -- "${3:?}/${2:?}"
rm -rf -- "$1"
