#!/bin/sh
set -eu
read -r running < "$DESTINATION_ROOT/srv/running"
read -r version < "$DESTINATION_ROOT/srv/application/version"
test "$running" = "$version"
