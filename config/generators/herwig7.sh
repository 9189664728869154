#!/usr/bin/env bash
# Showers Les Houches events with Herwig 7 and writes HepMC3: herwig7.sh LHE OUT SEED EVENTS FOLDER.
# HERWIG names the program if it is not on the PATH. Not run by this project's tests: see docs/resim.md.
set -euo pipefail
lhe=$1 out=$2 seed=$3 events=$4 folder=$5
herwig=${HERWIG:-Herwig}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
sed -e "s|@LHE@|$lhe|" -e "s|@OUT@|$out|" "$here/herwig7.in" > "$folder/herwig7.in"
cd "$folder"
"$herwig" read herwig7.in
"$herwig" run herwig7.run -N "$events" -s "$seed"
