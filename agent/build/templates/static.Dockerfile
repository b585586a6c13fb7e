FROM {{.Images.Static}} AS runtime
{{template "server" .}}
COPY {{argv .Output "/srv/site/"}}
