{{define "server" -}}
COPY <<"CONF" /etc/nginx/conf.d/default.conf
# Files with a hash in their names are kept for a year, all others are asked for anew.
map $uri $cache {
	default "no-cache";
	"~^/(assets|static|_astro|_app)/.*[-.](?=[a-z_-]*[0-9A-Z])[0-9A-Za-z_-]{8}(\.[0-9a-z]+)+$" "public, max-age=31536000, immutable";
}

server {
	listen 8080;
	root /srv/site;
	absolute_redirect off;
	gzip on;
	gzip_vary on;
	gzip_min_length 1024;
	gzip_types application/javascript application/json application/manifest+json application/wasm application/xml image/svg+xml text/css text/javascript text/plain text/xml;
	add_header Cache-Control $cache;
	add_header X-Content-Type-Options nosniff;

	location = /healthz {
		access_log off;
		default_type text/plain;
		return 200 "ok\n";
	}
{{if eq .Template "nodejs-react"}}
	# A path that is no file is the page's own affair, but a missing script or picture is missing.
	location / {
		try_files $uri $uri/index.html /index.html;
	}

	location ~ "\.(js|mjs|css|map|json|png|jpe?g|gif|svg|webp|avif|ico|woff2?|ttf|otf|wasm|txt|xml|webmanifest|pdf|mp4|webm)$" {
		try_files $uri =404;
	}
{{else}}
	error_page 404 /404.html;
	location / {
		try_files $uri $uri/index.html $uri.html =404;
	}
{{end -}}
}
CONF
{{- end -}}
