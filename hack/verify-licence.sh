#!/usr/bin/env bash
# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0
#
# Names the source files that do not begin with the licence's two lines (after #! in a script). What
# tests compare with, in testdata, is not source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
while IFS= read -r file; do
  [[ -s $file ]] || continue
  head -n 4 "$file" | grep -q 'Copyright The Kaeru Authors\.' && head -n 5 "$file" | grep -q 'SPDX-License-Identifier: Apache-2\.0' && continue
  echo "$file: begin it with \"Copyright The Kaeru Authors.\" and \"SPDX-License-Identifier: Apache-2.0\", a comment line each"
  status=1
done < <(git ls-files --cached --others --exclude-standard ':!:**/testdata/**' '*.go' '*.sh' '*.sql' .ci/run Makefile Dockerfile 'config/*.yaml' 'charts/kaeru/values.yaml')
exit $status
