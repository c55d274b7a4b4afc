#!/bin/bash
# Starts the edge. Whom it believes is told to nobody who knocks; an nginx before 1.27.2 asks for no certificate unless it
# names whose it takes, and so who the members are: there that is done, and said.
set -euo pipefail

version=$(nginx -v 2>&1)
version=${version##*/}
believed=ssl_trusted_certificate
if [ "$(printf '%s\n' 1.27.2 "${version%% *}" | sort -V | head -n 1)" != 1.27.2 ]; then
    believed=ssl_client_certificate
    echo "nginx ${version} tells whoever connects the names of all authorities: take 1.27.2 or newer (NGINX_IMAGE)" >&2
fi
echo "$believed /edge/authorities.pem;" > "${TMPDIR:-/tmp}/believed.conf"
exec nginx -c /etc/exchange/edge.conf -g 'daemon off;'
