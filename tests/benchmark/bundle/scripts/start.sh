#!/bin/sh
set -eu
version=
IFS='=' read -r _name version < "$DESTINATION_ROOT/srv/configuration"
echo "$version" > "$DESTINATION_ROOT/srv/running"
