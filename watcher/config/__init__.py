"""All TOML of the product (settings, engines, bugs) as frozen values. See CONTRACT's table of keys in docs/configuration.md."""

from watcher.config.engines import EngineSettings, Profile
from watcher.config.load import load_settings
from watcher.config.settings import Settings
from watcher.config.sources import AptConfig, GitHubReleasesConfig, OciTagsConfig, SimpleIndexConfig, SourceConfig

__all__ = [
    "AptConfig",
    "EngineSettings",
    "GitHubReleasesConfig",
    "OciTagsConfig",
    "Profile",
    "Settings",
    "SimpleIndexConfig",
    "SourceConfig",
    "load_settings",
]
