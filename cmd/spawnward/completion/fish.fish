# Completion of spawnward for fish. To have it in every shell:
#   spawnward completion fish > ~/.config/fish/completions/spawnward.fish

function __spawnward_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l current (commandline -ct)
    for line in ($words[1] complete-words $words[2..-1] 2>/dev/null)
        set -l parts (string split -m 1 \t -- $line)
        switch $parts[1]
            case :files
                __fish_complete_path (string replace -r '^--[^=]*=' '' -- $current)
            case :dirs
                __fish_complete_directories (string replace -r '^--[^=]*=' '' -- $current)
            case '*'
                echo $line
        end
    end
end

complete -c spawnward -f -a '(__spawnward_complete)'
