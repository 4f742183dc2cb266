#compdef spawnward
# Completion of spawnward for zsh. To have it in every shell, in a directory of $fpath:
#   spawnward completion zsh > "${fpath[1]}/_spawnward"

_spawnward() {
    local -a found
    local word about
    while IFS=$'\t' read -r word about; do
        case $word in
        :files) compset -P '--*='; _files ;;
        :dirs) compset -P '--*='; _files -/ ;;
        ?*) found+=("${word//:/\\:}:$about") ;;
        esac
    done < <("${words[1]}" complete-words "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#found} )) && _describe spawnward found
    return 0
}

if [[ ${funcstack[1]} == _spawnward ]]; then
    _spawnward "$@"
else
    compdef _spawnward spawnward
fi
