# The image of siamese-job: docs/image.md. It builds with and without BuildKit, so it uses no cache
# mounts or other newer syntax.

ARG BASE_IMAGE=python:3.11-slim-bookworm

# Dependencies: the large layer, rebuilt only when a lock changes.
FROM ${BASE_IMAGE} AS dependencies
ARG ACCELERATOR=cpu
RUN case "${ACCELERATOR}" in \
    cpu | cuda) ;; \
    *) echo "ACCELERATOR is '${ACCELERATOR}'; allowed are: cpu, cuda." >&2; exit 2 ;; \
    esac
COPY requirements/image-cpu.txt requirements/image-cuda.txt /build/
# --no-deps: the lock is complete, except for requirements that no code imports. TensorFlow's C++
# headers are needed only to build custom operations and are a third of its size.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps \
        --only-binary :all: --require-hashes --disable-pip-version-check --progress-bar off \
        --requirement "/build/image-${ACCELERATOR}.txt" \
    && rm -rf /opt/venv/lib/python3*/site-packages/tensorflow/include

# The program. The environment has its final path, which the first line of the script contains, but
# holds only the build backend.
FROM ${BASE_IMAGE} AS package
COPY requirements/image-build.txt /build/
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps \
        --only-binary :all: --require-hashes --disable-pip-version-check --progress-bar off \
        --requirement /build/image-build.txt
COPY pyproject.toml README.md LICENSE /build/source/
COPY job /build/source/job
RUN python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps \
        --no-build-isolation --disable-pip-version-check --prefix /package /build/source
# Every user of the image must be able to read a checkout that was made under a strict umask.
COPY examples /examples
RUN chmod -R u=rwX,go=rX /examples

FROM ${BASE_IMAGE}
# Compile the standard library: slim images omit its bytecode, and a read-only root cannot store it.
# Nothing is installed at run time, so remove pip. No process changes its user, so clear set-user-ID
# bits. Only the volumes are world-writable.
RUN python -m compileall -q -x '/(test|tests|idlelib|lib2to3|ensurepip|(site|dist)-packages)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && for lib in /usr/local/lib/python3* /usr/lib/python3*; do \
        rm -rf "$lib"/ensurepip "$lib"/*-packages/pip "$lib"/*-packages/pip-* \
            "$lib"/*-packages/setuptools* "$lib"/*-packages/wheel* \
            "$lib"/*-packages/pkg_resources; \
    done \
    && rm -f /usr/local/bin/pip* /usr/local/bin/wheel /usr/bin/pip* /usr/bin/wheel \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && find / -xdev -type d -perm -0002 ! -path /tmp -exec chmod o-w {} + \
    && mkdir -m 1777 /scratch
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /package /opt/venv
COPY --from=package /examples /examples

# Any UID works: nothing is written outside the two volumes, and no user is looked up in
# /etc/passwd. Metrics listen on all interfaces, because their readers are outside the container.
ENV PATH=/opt/venv/bin:${PATH} \
    LANG=C.UTF-8 \
    USER=trainer \
    HOME=/tmp \
    TMPDIR=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    KERAS_HOME=/tmp/keras \
    MPLCONFIGDIR=/tmp/matplotlib \
    CUDA_CACHE_PATH=/tmp/cuda \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SIAMESE_METRICS__HOST=0.0.0.0
WORKDIR /scratch
VOLUME ["/scratch", "/tmp"]
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["siamese-job"]
CMD ["--help"]

# Last, because these change with every commit.
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="siamese-job" \
    org.opencontainers.image.description="Trains Siamese models that survive being killed" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"
