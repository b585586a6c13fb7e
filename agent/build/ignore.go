package build

// Always left out where a template builds a folder without a .dockerignore:
// history, keys, what editors and systems leave behind.
var commonIgnores = []string{
	".git", ".github", ".gitignore", ".gitattributes", ".hg", ".svn", ".idea", ".vscode", "**/.DS_Store", "**/*.swp",
	"**/.env.local", "**/.env.*.local", "**/*.pem", "**/id_rsa", "**/id_ed25519",
	"Dockerfile", "Containerfile", "docker-compose*.y*ml", "compose*.y*ml", "hks.yaml",
}

// And what the build makes itself, by template.
var templateIgnores = map[Template][]string{
	NodeJS:      {"**/node_modules", "dist", "build", "coverage", ".next", ".nuxt", ".turbo", ".cache", "**/npm-debug.log*"},
	NodeJSReact: {"**/node_modules", "dist", "build", "coverage", ".next", ".turbo", ".cache", "**/npm-debug.log*"},
	Static:      {"**/node_modules", "**/.*", "!.well-known", "README*", "LICENSE*"},
	Go:          {"bin", "dist", "**/*.test", "**/*.out"},
	Python:      {".venv", "venv", "env", "**/__pycache__", "**/*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", "dist", "**/*.egg-info"},
}

func ignoresOf(template Template) []string {
	if template == Dockerfile {
		return nil // what its COPY takes is the author's affair
	}
	ignores := append(append([]string{}, commonIgnores...), templateIgnores[template]...)
	if template != NodeJSReact {
		// A page's .env has what is built into it, and stays in the build stage.
		ignores = append(ignores, "**/.env", "**/.env.*", "!**/.env.example")
	}
	return ignores
}
