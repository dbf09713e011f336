# SPDX-License-Identifier: Apache-2.0
"""The Celery beside it: a task that commits one row. Settings come from the environment."""
import os

import pymysql
from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER"])
app.conf.update(
    task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True,
    broker_transport_options={"confirm_publish": True}, worker_send_task_events=False,
    broker_connection_retry=True)
connection = None


@app.task(name="commit_row")
def commit_row(number):
    global connection
    if connection is None:
        connection = pymysql.connect(
            host=os.environ["BENCH_HOST"], port=int(os.environ["BENCH_PORT"]),
            user=os.environ["BENCH_USER"], password=os.environ["BENCH_PASSWORD"],
            database=os.environ["BENCH_DATABASE"])
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO celery_rows VALUES (%s)", (number,))
    connection.commit()


if __name__ == "__main__":
    import sys
    import time
    with app.connection_for_write() as link, app.amqp.Producer(link) as producer:
        commit_row.apply_async((0,), producer=producer)  # connected, declared
        print("ready", flush=True)
        sys.stdin.readline()
        begun = time.monotonic()
        for task in range(1, int(sys.argv[1]) + 1):
            commit_row.apply_async((task,), producer=producer)
        print(time.monotonic() - begun, flush=True)
