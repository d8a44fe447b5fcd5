# The worker: `docker build -t stream-seg .`, or by docker-compose.yml.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python -m venv /opt/build && python -m venv --without-pip /opt/stream-seg
WORKDIR /src
# Dependencies first: this layer changes with the locks only.
COPY requirements/build.txt requirements/worker.txt requirements/
RUN /opt/build/bin/pip install --no-deps --only-binary :all: --require-hashes -r requirements/build.txt \
 && /opt/build/bin/pip --python /opt/stream-seg/bin/python install \
      --no-deps --only-binary :all: --require-hashes -r requirements/worker.txt
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/stream-seg/bin/python install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim
LABEL org.opencontainers.image.title="stream-seg" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --home-dir /var/lib/stream-seg --create-home stream-seg
COPY --from=build /opt/stream-seg /opt/stream-seg
# Compiled kernels are kept where the user may write.
ENV PATH=/opt/stream-seg/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/lib/stream-seg/numba
USER 10001
WORKDIR /var/lib/stream-seg
# SIGTERM: the worker drains, commits and ends with 0.
STOPSIGNAL SIGTERM
EXPOSE 8080
ENTRYPOINT ["stream-seg"]
CMD ["live", "--health", "8080"]
