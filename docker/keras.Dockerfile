# syntax=docker/dockerfile:1
# The training worker of Keras trainers, on NVIDIA GPUs; also of trainers without a framework. No Spark in it.
#
#   docker build -f docker/keras.Dockerfile -t scarce/keras:0.1.0 .
#   docker run --gpus all scarce/keras:0.1.0 jobs.train --config s3://bucket/run.toml
#
# CUDA 12 comes with TensorFlow's packages; the node needs the driver (525 or later) and NVIDIA's container toolkit. To
# pin the base for good, write its digest behind its tag: debian:12-slim@sha256:...
ARG UV_VERSION=0.13.9

FROM ghcr.io/astral-sh/uv:${UV_VERSION} AS uv

FROM debian:12-slim AS build
ENV PYTHON_VERSION=3.11.18 UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
# Unpinned, as Debian serves no old version and the newest certificates are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY --from=uv /uv /usr/local/bin/uv
COPY pyproject.toml constraints.txt docker/install.sh docker/cuda.in docker/cuda-constraints.txt ./
# TensorFlow for GPUs takes the place of the one for processors; petastorm reads files without pyspark.
RUN ./install.sh /opt/python keras tensorflow-cpu pyspark py4j

FROM debian:12-slim
LABEL org.opencontainers.image.title="Scarce, Keras worker" \
      org.opencontainers.image.description="Trains from the feature table on a GPU, with TensorFlow" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 185 scarce && useradd --uid 185 --gid 0 --groups scarce --create-home scarce
# What reads and writes buckets looks for them here.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /opt/python /opt/python
COPY LICENSE /opt/scarce/
COPY feature_extraction /opt/scarce/feature_extraction
COPY training /opt/scarce/training
COPY inference /opt/scarce/inference
COPY jobs /opt/scarce/jobs
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PATH=/opt/python/bin:${PATH} \
    PYTHONPATH=/opt/scarce \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /home/scarce
USER 185
ENTRYPOINT ["python3.11", "-m"]
CMD ["jobs.train", "--help"]
