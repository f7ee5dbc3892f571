# syntax=docker/dockerfile:1
# Python and the packages for EMR, as an archive that Spark unpacks on driver and executors: environment.tar.gz.
#
#   docker build -f docker/emr.Dockerfile --output build .
#   docker build -f docker/emr.Dockerfile --output build --build-arg EXTRAS=spark,torch .
#
# The code itself is the zip of `make zip`. EMR brings pyspark.
ARG UV_VERSION=0.13.9

FROM ghcr.io/astral-sh/uv:${UV_VERSION} AS uv

FROM debian:12-slim AS build
ARG EXTRAS=spark,keras
ENV PYTHON_VERSION=3.11.18 UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
# Unpinned, as Debian serves no old version and the newest certificates are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY --from=uv /uv /usr/local/bin/uv
COPY pyproject.toml constraints.txt docker/install.sh ./
RUN ./install.sh /opt/python "${EXTRAS}" pyspark py4j \
    && tar --create --gzip --file /environment.tar.gz --directory /opt/python .

FROM scratch
COPY --from=build /environment.tar.gz /
