"""Where the store is: by option, environment or file; passwords never shown."""

import os

import pytest

from penstock.errors import StoreError
from penstock.store.location import find_location, read_location

TEAM = "postgresql://ann@db.example.org/team + s3://team/penstock"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("PENSTOCK_STORE", raising=False)
    monkeypatch.setenv("PENSTOCK_STORE_PASSWORD", "")


def test_without_a_word_it_is_beside_the_pipeline(tmp_path):
    found = find_location(None, tmp_path)
    assert (found.blobs, found.shared) == (str(tmp_path / ".penstock"), False)


def test_what_is_given_wins_over_the_environment_and_that_over_the_file(tmp_path, monkeypatch):
    (tmp_path / "penstock.toml").write_text(f'store = "{TEAM}"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_location(None, below).text == TEAM
    monkeypatch.setenv("PENSTOCK_STORE", "/elsewhere")
    assert find_location(None, below).blobs == "/elsewhere"
    assert find_location("here", below).blobs == "here"


def test_environments_have_names_and_folders_are_relative_to_the_file(tmp_path):
    (tmp_path / "penstock.toml").write_text(
        f'[environments.dev]\nstore = "stores/dev"\n[environments.prod]\nstore = "{TEAM}"\n'
    )
    (tmp_path / "deep").mkdir()
    assert find_location("@dev", tmp_path / "deep").blobs == str(tmp_path / "stores" / "dev")
    assert find_location("@prod", tmp_path / "deep").blobs == "s3://team/penstock"
    assert find_location(None, tmp_path / "deep").blobs == str(tmp_path / ".penstock")
    with pytest.raises(StoreError, match="there are: @dev, @prod"):
        find_location("@prd", tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("store = 7\n", "must be a folder, or"),
        ('store = "\n', "cannot be read"),
        ('[environments.prod]\nstores = "x"\n', "must be a folder, or"),
    ],
)
def test_a_file_that_cannot_be_understood_is_told(tmp_path, text, says):
    (tmp_path / "penstock.toml").write_text(text)
    with pytest.raises(StoreError, match=says):
        find_location("@prod" if "prod" in text else None, tmp_path)


def test_no_file_has_no_environments(tmp_path):
    with pytest.raises(StoreError, match="there is no penstock.toml"):
        find_location("@prod", tmp_path)


def test_a_password_goes_into_the_environment_and_is_shown_by_name():
    found = read_location("postgresql://ann:s3cret%21@db/team + s3://team")
    assert os.environ["PENSTOCK_STORE_PASSWORD"] == "s3cret!"
    assert found.text == "postgresql://ann:${PENSTOCK_STORE_PASSWORD}@db/team + s3://team"
    assert "s3cret" not in found.catalog
    assert read_location(found.text) == found


@pytest.mark.parametrize(
    "text", ["s3://team", "mysql://ann:pw123@db/x + s3://team", "postgresql://ann:pw123@db/team", "postgresql://db + "]
)
def test_what_is_neither_form_is_refused_without_showing_a_password(text):
    with pytest.raises(StoreError, match="give a folder, or") as caught:
        read_location(text)
    assert "pw123" not in str(caught.value)
