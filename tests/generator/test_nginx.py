"""NGINX itself reads the edge's file, where Debian's is installed; in containers `tests/stack` asks the image's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from focushub_generator.resources import data_root

NGINX = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
SUBSTITUTED = {"LOAD_BALANCER": "load-balancer:8080", "RESOLVER": "127.0.0.11"}
AROUND = """
pid {root}/nginx.pid;
error_log stderr;
events {{}}
http {{
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  include {root}/default.conf;
}}
"""


@pytest.mark.skipif(NGINX is None, reason="nginx is not here (Debian: nginx-light)")
def test_nginx_finds_its_configuration_good(tmp_path: Path) -> None:
    text = (data_root() / "nginx/templates/default.conf.template").read_text(encoding="utf-8")
    text = re.sub(r"\${(\w+)}", lambda name: SUBSTITUTED[name[1]], text)
    # An ordinary user may neither listen there nor write there.
    text = text.replace("listen 80 ", "listen 127.0.0.1:18080 ").replace("/var/log/nginx", str(tmp_path))
    (tmp_path / "default.conf").write_text(text)
    (tmp_path / "nginx.conf").write_text(AROUND.format(root=tmp_path))
    done = subprocess.run(
        [str(NGINX), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
