#!/bin/sh
set -eu
IFS='=' read -r _name version < "$DESTINATION_ROOT/srv/configuration"
echo "$version" > "$DESTINATION_ROOT/srv/running"
