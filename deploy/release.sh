#!/bin/sh
# Checks that everything names the version of covla/__init__.py, builds wheel and source archive,
# and tags the commit. Pushes nothing.
set -eu
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' covla/__init__.py)
stop() { echo "release: $*" >&2; exit 2; }

[ -z "$(git status --porcelain)" ] || stop "there are changes that are not committed"
grep -q "^## \[$version\] - [0-9-]*$" CHANGELOG.md || stop "CHANGELOG.md has no heading [$version] with a date"
grep -q "image: covla:$version$" docker-compose.yml || stop "docker-compose.yml names another image than covla:$version"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || stop "v$version is tagged already"
rm -rf dist
.venv/bin/uv build -q --no-build-isolation --python .venv/bin/python
git tag -a "v$version" -m "covla $version"
echo "dist/ holds $version; push with: git push origin v$version"
