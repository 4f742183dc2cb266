# Completion of spawnward for bash. To have it in every shell:
#   spawnward completion bash > ~/.local/share/bash-completion/completions/spawnward

_spawnward() {
    local line=${COMP_LINE:0:COMP_POINT} words word about current kept
    COMPREPLY=()
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]}-1]}
    # bash splits words at @, = and : as well, and replaces only its own last
    # part, which it gives as the second argument.
    kept=${current%"$2"}
    while IFS=$'\t' read -r word about; do
        case $word in
        :files) compopt -o filenames 2>/dev/null; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "${current#*=}") ;;
        :dirs) compopt -o filenames 2>/dev/null; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "${current#*=}") ;;
        ?*) COMPREPLY+=("${word#"$kept"}") ;;
        esac
    done < <("${words[0]}" complete-words "${words[@]:1}" 2>/dev/null)
}

complete -F _spawnward spawnward
