#!/bin/sh
set -eu
mv "$DESTINATION_ROOT/srv/running" "$DESTINATION_ROOT/srv/stopped"
