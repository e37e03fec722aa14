# What .ci/run and .ci/soak share. Source it; it changes to the module's root.
# shellcheck shell=bash

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A fresh clone may belong to another user, and then git refuses to be asked.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

# section NAME COMMAND... runs one section. The first that fails ends the
# script, and the trap names it.
section() {
	current=$1
	local start=$SECONDS
	printf '\n=== %s\n' "$current"
	shift
	"$@" </dev/null
	printf -- '--- ok: %s (%d s)\n' "$current" $((SECONDS - start))
}

finish() {
	local status=$?
	if ((status != 0)); then
		printf -- '\n--- FAILED: %s (exit %d)\n' "$current" "$status"
	fi
	printf 'total: %d s\n' "$SECONDS"
}
current=start
trap finish EXIT

# modules lists the folders of the released module and of the nested ones.
modules() {
	find . -name go.mod -not -path '*/testdata/*' -not -path '*/node_modules/*' | sed 's|/go.mod$||' | sort
}

# each_module COMMAND... runs a command in each of them.
each_module() {
	local dirs dir
	dirs=$(modules)
	for dir in $dirs; do
		printf '%s: %s\n' "$dir" "$*"
		(cd "$dir" && "$@")
	done
}

# The race detector needs cgo, hence a C compiler.
need_c_compiler() {
	if ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then
		echo 'no C compiler: installing gcc'
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev
	fi
}

# fuzz runs every fuzz target for FUZZTIME.
fuzz() {
	local targets file name
	targets=$(grep -roE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' --exclude-dir=node_modules . | sort)
	while IFS=: read -r file name; do
		fuzz_one "$(dirname "$file")" "${name#func }"
	done <<<"$targets"
}

fuzz_one() {
	local pkg=$1 name=$2 out
	printf '%s %s\n' "$pkg" "$name"
	if out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 10x "$pkg" 2>&1 </dev/null); then
		tail -n 3 <<<"$out" | head -n 1
		return
	fi
	printf '%s\n' "$out"
	# Up to Go 1.26 the end of -fuzztime itself can be reported as a failure, without any
	# failing input (https://go.dev/issue/75804).
	if grep -qx ' *context deadline exceeded' <<<"$out" && ! grep -q -e 'Failing input' -e "$name/" -e panic <<<"$out"; then
		echo 'ignored: go.dev/issue/75804, no failing input'
		return
	fi
	return 1
}
