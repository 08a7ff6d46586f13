"""Ordinary programs work inside the default sandbox: no capabilities, the default seccomp profile and Landlock rules."""
import pytest
from world import wait_for

PROGRAMS = {
    "sh": "echo $((6 * 7)) | grep -q 42",
    "bash": "bash -c 'cat <(seq 3) | wc -l | grep -q 3'",
    "coreutils": "cd /tmp && seq 100 | sort -rn | head -1 && mkdir -p a/b && cp -a /etc/passwd a/b && mv a c && chmod 600 c/b/passwd"
                 " && ln -s b c/l && stat c/l && touch -d yesterday c && du -s c && rm -r c && date && id && env && timeout 1 true",
    "find and xargs": "find /etc -name passwd | xargs cat | grep root",
    "sed and awk": "echo abc | sed s/b/x/ | awk '{ print length($1) }' | grep -q 3",
    "pseudo-terminals": "python3 -c 'import pty; assert pty.spawn([\"/bin/echo\", \"x\"]) == 0'",
    "devices": "head -c 8 /dev/urandom | od && head -c 8 /dev/random | od && echo x >/dev/null && head -c 3 /dev/zero | od &&"
               " ! echo x >/dev/full && ls -l /dev/fd /dev/stdin && echo hello >/dev/stdout && test -c /dev/ptmx && test -d /dev/shm",
    "python3": "python3 -c 'import ssl, sqlite3, json, threading, multiprocessing as m, subprocess, tempfile, socket, time;"
               " t = threading.Thread(target=print); t.start(); t.join(); subprocess.check_call([\"true\"]); tempfile.mkdtemp();"
               " print(m.Pool(2).map(abs, [-1, 2]))'",
    "python3 asyncio": "python3 -c 'import asyncio; print(asyncio.run(asyncio.create_subprocess_exec(\"true\")))'",
    "node": "node -e 'const w = require(\"worker_threads\"); require(\"fs\").writeFileSync(\"/tmp/x\", \"1\");"
            " new w.Worker(\"console.log(1)\", { eval: true }).on(\"exit\", c => process.exit(c))'",
    "git": "cd /tmp && export HOME=/tmp && git init -q r && cd r && git config user.email a@b && git config user.name a && echo 1 >f &&"
           " git add f && git commit -qm one && git clone -q . ../s && git -C ../s log --oneline && git gc -q",
    "perl": "perl -MFile::Temp -MSocket -e 'print join(\",\", sort { $a <=> $b } 3, 1, 2)' | grep -q 1,2,3",
    "tar": "cd /tmp && mkdir t && echo 1 >t/f && tar czf t.tgz t && rm -r t && tar xzf t.tgz && grep -q 1 t/f",
    "gcc": "cd /tmp && echo 'int main(){return 0;}' >m.c && gcc -o m m.c && ./m",
    "make": "cd /tmp && printf 'all:\\n\\ttrue\\n' >Makefile && make -j2",
    "dpkg and apt": "dpkg -l | grep -q bash && apt-cache -o Dir::Cache=/tmp -o Dir::State::Lists=/tmp policy >/dev/null",
    "openssl": "openssl rand -hex 8 && openssl genpkey -algorithm ed25519 -out /tmp/key",
    "procps": "ps aux && free && top -bn1 | head -3 && uptime",
    "getaddrinfo": "getent hosts localhost && python3 -c 'import socket; print(socket.getaddrinfo(\"localhost\", 80))'",
    "own name": "getent hosts $(hostname) && test $(hostname) = a",
    "sockets": "python3 -c 'import socket as s; l = s.create_server((\"127.0.0.1\", 0)); c = s.create_connection(l.getsockname());"
               " l.accept(); s.socketpair(); s.socket(s.AF_INET, s.SOCK_DGRAM); s.socket(s.AF_INET6)'",
    "signals and waiting": "sleep 100 & kill $!; ! wait $!",
    "shared memory": "python3 -c 'from multiprocessing import shared_memory as s; m = s.SharedMemory(create=True, size=4096);"
                     " m.buf[0] = 1; m.close(); m.unlink()'",
    "file locks and events": "flock /tmp/l true && python3 -c 'import select, os; e = select.epoll(); r, w = os.pipe(); e.register(r);"
                             " os.write(w, b\"x\"); assert e.poll(1); os.memfd_create(\"x\"); os.eventfd(0) if hasattr(os, \"eventfd\") else 0'",
    "nginx": "mkdir -p /tmp/n && echo hi >/tmp/n/index.html && printf 'daemon off; user root root; pid /tmp/n/pid; error_log stderr; events {} http"
             " { access_log off; client_body_temp_path /tmp/n; proxy_temp_path /tmp/n; fastcgi_temp_path /tmp/n; uwsgi_temp_path /tmp/n;"
             " scgi_temp_path /tmp/n; server { listen 8088; root /tmp/n; } }' >/tmp/n/conf && (nginx -e stderr -c /tmp/n/conf &) &&"
             " for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; curl -sf http://127.0.0.1:8088/ | grep hi && exit 0; done; exit 1",
}
POSTGRES = ("PATH=$(echo /usr/lib/postgresql/*/bin):$PATH; initdb -D /tmp/db -A trust --no-sync >/dev/null &&"
            " pg_ctl -w -D /tmp/db -o '-k /tmp -h 127.0.0.1' -l /tmp/log start && psql -h 127.0.0.1 -c 'select 6 * 7' postgres | grep 42"
            " && pg_ctl -D /tmp/db -m fast stop")


def job(world, rootfs, command, more=""):
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
rootfs = "{rootfs}"
command = ["/bin/sh", "-euc", '''{command}''']
environment = {{ PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME = "/tmp" }}
{more}
""")
    world.apply(path, "--timeout", "60s")


@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_it_works(world, rootfs, program, user):
    job(world, rootfs, PROGRAMS[program], 'user = "nobody"\ngroup = "nogroup"\n' if user == "nobody" else "")


def test_postgresql_works(world, rootfs):
    job(world, rootfs, POSTGRES, 'user = "postgres"\ngroup = "postgres"\n')


@pytest.mark.parametrize("program", ["sh", "coreutils", "devices", "perl", "tar", "getaddrinfo", "own name"])
def test_it_works_on_the_machines_own_usr(world, program):
    path = world.write(f"""
name = "PROJECT"
[services.a]
type = "job"
command = ["/bin/sh", "-euc", '''{PROGRAMS[program]}''']
""")
    world.apply(path, "--timeout", "60s")


def test_a_production_service_of_the_same_rootfs_would_validate(world, rootfs):
    path = world.write(f"""
name = "PROJECT"
[services.a]
service_mode = "production"
rootfs = "{rootfs}"
command = ["nginx"]
memory = "64M"
""")
    world.nucleus("validate", "-f", path)


def test_a_log_is_kept_of_what_a_program_says(world, rootfs):
    job(world, rootfs, "echo spoken")
    wait_for("the log", lambda: "spoken" in world.nucleus("logs", f"{world.project}/a").stdout)
