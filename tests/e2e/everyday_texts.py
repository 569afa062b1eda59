"""Own the texts that everyday manifests hold: scripts, programs and settings, made up, with all of YAML's own signs."""

WORDS = [
    *["the", "value", "of", "this", "field", "decides", "how", "often", "a", "worker", "asks", "its", "queue,", "when"],
    *["it", "gives", "up,", "and", "what", "tells:", '"always",', '"never"', "or", "`auto`.", "It's", "optional", "-"],
    *["10%", "(since", "v1.2);", "see", "http://example.org/a#b", "Grüße,", "日本,", "😀", "&", "<others>"],
]
"""Words of descriptions."""

SHELL = r"""#!/bin/sh
set -eu
cat <<EOF > /tmp/x
---
key: ${VALUE:-default}
...
EOF
if [ "$1" = '--help' ]; then
	echo "usage: $0 {start|stop} # not a comment"
	exit 0
fi
awk '{ print $1 "\t" $2 }' /proc/mounts
"""
SHELL += "sleep 1   \n\n\n"

PYTHON = r'''"""A program."""

import os

X = {"a": [1, 2], 'b': r"\d+\.\w*"}
print(f"{X!r:>10}\n" % os.environ)
'''

NGINX = r"""server {
    listen 80;
    location ~ \.php$ { deny all; }
    # end
}
"""

SNIPPET = r"""more_set_headers "X-A: b";
if ($host ~* '^www\.(.*)$') {
  return 301 https://$1$request_uri;
}
"""

PROPERTIES = r"""# settings
spring.profiles=a,b
path=C:\\temp
key\ with\ blanks = 1 : 2
"""

TOML = """[a.b]
c = '''x
y'''
d = 2001-01-01T00:00:00Z
"""

TEMPLATE = """{{- range $k, $v := .Items }}
{{ $k }}: {{ $v | quote }}
{{- end }}
%{ for x in y }
"""

ALERT = """- alert: HighNUMBER
  expr: |
    rate(errors_total{job="NAME"}[5m]) > 0.NUMBER
  for: 10m
  annotations: {text: "{{ $labels.instance }} is at {{ $value | humanize }}"}
"""

DOCUMENTS = """---
a: 1
...
---
# nothing
---
b: {c: [1, 2]}
"""

VALUES = """x: &x
  y: !!str 1
z:
  <<: *x


# end"""
