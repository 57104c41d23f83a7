# bash completion for teale-relay(8)
_teale_relay() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $prev in
        --tls-cert | --tls-key | --admin-token-file | --redis-password-file | --redis-ca-file | --config)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        --log-level)
            mapfile -t COMPREPLY < <(compgen -W 'error warn info debug' -- "$cur")
            return ;;
        --listen | --udp | --udp-announce | --name | --max-message | --max-memory | --trusted-proxy | --redis | --redis-sentinel | \
            --redis-master | --relay-id | --cluster-ttl-secs | --drain-secs | --threads | \
            --relay-max-sessions | --relay-reciprocal-kbps | --relay-bootstrap-kbps | --relay-burst-ms | \
            --relay-idle-timeout-secs | --relay-session-max-secs | --relay-session-warn-secs | --relay-pause-secs | --reciprocal)
            return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W '--listen --udp --udp-announce --name --tls-cert --tls-key --legacy-clients
        --admin-token-file --max-message --max-memory --trusted-proxy --proxy-protocol --redis --redis-password-file --redis-ca-file --redis-sentinel
        --redis-master --relay-id --cluster-ttl-secs --drain-secs --threads --limits
        --relay-max-sessions --relay-reciprocal-kbps --relay-bootstrap-kbps --relay-burst-ms --relay-idle-timeout-secs
        --relay-session-max-secs --relay-session-warn-secs --relay-pause-secs --reciprocal --log-level --config --help --version' -- "$cur")
}
complete -F _teale_relay teale-relay
