# syntax=docker/dockerfile:1
# Spark's drivers and executors: extraction, scores, explanations.
#
#   docker build -f docker/spark.Dockerfile -t scarce/spark:0.1.0 .
#   docker build -f docker/spark.Dockerfile -t scarce/spark-keras:0.1.0 --build-arg EXTRAS=spark,keras .
#
# The second trains as well, on processors: all stages in one application. To pin a base for good, write its digest
# behind its tag: apache/spark:4.0.5-scala2.13-java17-ubuntu@sha256:...
ARG SPARK_VERSION=4.0.5
ARG UV_VERSION=0.13.9

FROM ghcr.io/astral-sh/uv:${UV_VERSION} AS uv

# S3A, which Spark's own distribution comes without: of Spark's Hadoop, with the AWS SDK that Hadoop was built with.
FROM apache/spark:${SPARK_VERSION}-scala2.13-java17-ubuntu AS jars
ARG SPARK_VERSION
ARG HADOOP_VERSION=3.4.1
ARG AWS_SDK_VERSION=2.24.6
ARG MAVEN=https://repo1.maven.org/maven2
# Lines of sha256sum, which the log of a first build prints; given them, a jar that was swapped fails the build.
ARG JARS_SHA256=""
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN for path in \
      "org/apache/hadoop/hadoop-aws/${HADOOP_VERSION}/hadoop-aws-${HADOOP_VERSION}.jar" \
      "org/apache/spark/spark-hadoop-cloud_2.13/${SPARK_VERSION}/spark-hadoop-cloud_2.13-${SPARK_VERSION}.jar" \
      "software/amazon/awssdk/bundle/${AWS_SDK_VERSION}/bundle-${AWS_SDK_VERSION}.jar"; do \
      jar="jars/${path##*/}"; \
      wget -nv -P jars "${MAVEN}/${path}" "${MAVEN}/${path}.sha1"; \
      echo "$(cut -c 1-40 "${jar}.sha1")  ${jar}" | sha1sum --check --strict; \
      rm "${jar}.sha1"; \
    done; \
    sha256sum jars/*; \
    if [ -n "${JARS_SHA256}" ]; then echo "${JARS_SHA256}" | sha256sum --check --strict; fi

# Spark's image has Python 3.10 or none; the application needs 3.11, here the one that uv installs.
FROM debian:12-slim AS build
ARG EXTRAS=spark
ENV PYTHON_VERSION=3.11.18 UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
# Unpinned, as Debian serves no old version and the newest certificates are wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY --from=uv /uv /usr/local/bin/uv
COPY pyproject.toml constraints.txt docker/install.sh ./
# Spark brings its own pyspark, and petastorm reads files without it.
RUN ./install.sh /opt/python "${EXTRAS}" pyspark py4j
COPY --from=jars /opt/spark/python /opt/spark/python
COPY LICENSE /opt/scarce/
COPY feature_extraction /opt/scarce/feature_extraction
COPY training /opt/scarce/training
COPY inference /opt/scarce/inference
COPY jobs /opt/scarce/jobs
# Machine code for every processor since 2013, whatever this one is, so that no node compiles it again. It is kept by the
# sources' times, of which a layer keeps whole seconds.
ENV NUMBA_CPU_NAME=x86-64-v3 \
    PYTHONPATH=/opt/scarce:/opt/spark/python:/opt/spark/python/lib/py4j-0.10.9.9-src.zip
RUN find /opt/scarce -exec touch --date 2026-01-01T00:00:00Z {} + \
    && /opt/python/bin/python3.11 -m feature_extraction.compile_kernels \
    && /opt/python/bin/python3.11 -m compileall -q /opt/scarce

FROM apache/spark:${SPARK_VERSION}-scala2.13-java17-ubuntu
LABEL org.opencontainers.image.title="Scarce, Spark" \
      org.opencontainers.image.description="Event logs to features, scores and explanations on Spark" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=jars /opt/spark/work-dir/jars /opt/spark/jars
COPY --from=build /opt/python /opt/python
# Numba keeps its machine code beside the sources, and only where it may write.
COPY --from=build --chown=185:0 /opt/scarce /opt/scarce
ENV NUMBA_CPU_NAME=x86-64-v3 \
    OMP_NUM_THREADS=1 \
    PATH=/opt/python/bin:/opt/spark/bin:${PATH} \
    PYSPARK_PYTHON=/opt/python/bin/python3.11 \
    PYSPARK_DRIVER_PYTHON=/opt/python/bin/python3.11 \
    PYTHONPATH=/opt/scarce:/opt/spark/python:/opt/spark/python/lib/py4j-0.10.9.9-src.zip
USER 185
ENTRYPOINT ["/opt/entrypoint.sh"]
CMD ["python3.11", "-m", "jobs.run", "--help"]
