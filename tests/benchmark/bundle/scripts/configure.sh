#!/bin/sh
set -eu
read -r version < "$DESTINATION_ROOT/srv/application/version"
echo "version=$version" > "$DESTINATION_ROOT/srv/configuration"
