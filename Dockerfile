# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY internal internal
ARG TARGETOS TARGETARCH VERSION=dev COMMIT=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w \
      -X github.com/kaeru-dev/kaeru/internal/version.version=$VERSION \
      -X github.com/kaeru-dev/kaeru/internal/version.commit=$COMMIT" -o /out/kaeru ./cmd/kaeru
# A new volume takes the owner of what it covers: without this the embedded database could not be written.
RUN mkdir -p /out/data /out/tmp && chmod 1777 /out/tmp

FROM scratch
LABEL org.opencontainers.image.title=kaeru \
      org.opencontainers.image.source=https://github.com/kaeru-dev/kaeru \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# The program has the time zones embedded as well; a newer image brings newer ones for all of Go.
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/tmp /tmp
COPY --from=build /out/kaeru /kaeru
COPY LICENSE /licenses/LICENSE
USER 65532:65532
ENTRYPOINT ["/kaeru"]
CMD ["manager"]
