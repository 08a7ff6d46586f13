"""Shows the products that are in the database. /health says whether the database can be asked at all."""
import http.server
import os

import psycopg2


def query(sql):
    connection = psycopg2.connect(os.environ["DATABASE"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def products():
    rows = query("SELECT id, name, cents FROM product ORDER BY id")
    return "".join(f"{number:3}  {name:20} {cents // 100}.{cents % 100:02}\n" for number, name, cents in rows)


def health():
    query("SELECT 1")
    return "ok\n"


PAGES = {"/": products, "/health": health}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = PAGES.get(self.path)
        if page is None:
            return self.answer(404, "not here\n")
        try:
            self.answer(200, page())
        except psycopg2.Error as error:
            print(f"{self.path}: {error}", flush=True)
            self.answer(503, "the database does not answer\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # a line per health check would be most of the log


if __name__ == "__main__":
    print("listening on port 8080", flush=True)
    http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
