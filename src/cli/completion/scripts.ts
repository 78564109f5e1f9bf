// What shells are taught: each asks `sloop __complete -- WORDS…`, whose first line is ":words" or ":files", then
// one candidate a line with a tab and its description.

const bash = `# bash completion for sloop: eval "$(sloop completion bash)"
_sloop() {
  local line=\${COMP_LINE:0:COMP_POINT} full prefix kind value _
  local -a words
  full=\${line##*[[:space:]]}
  # bash cuts words at : and = too: what stands before the last of them is on the line already.
  prefix=\${full%"\${full##*[:=]}"}
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  COMPREPLY=()
  {
    IFS= read -r kind
    while IFS=$'\\t' read -r value _; do COMPREPLY+=("\${value#"$prefix"}"); done
  } < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  [[ $kind == :files ]] && compopt -o default 2>/dev/null
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[:=] ]] && compopt -o nospace 2>/dev/null
  return 0
}
complete -F _sloop sloop
`

const zsh = `#compdef sloop
# zsh completion for sloop: source <(sloop completion zsh), or a file named _sloop in a directory of $fpath
_sloop() {
  local -a lines values
  local line colon='\\:'
  lines=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "\${(@)lines[2,-1]}"; do
    [[ -n $line ]] && values+=("\${\${line%%$'\\t'*}//:/$colon}:\${line#*$'\\t'}")
  done
  (( \${#values} )) && _describe -o sloop values
  [[ \${lines[1]} == :files ]] && _files
  return 0
}
if [[ \${funcstack[1]:-} == _sloop ]]; then
  _sloop "$@"
else
  (( \${+functions[compdef]} )) || { autoload -Uz compinit && compinit; }
  compdef _sloop sloop
fi
`

const fish = `# fish completion for sloop: sloop completion fish | source
function __sloop_complete
    set -l words (commandline -opc)
    set -l now (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$now" 2>/dev/null)
    test (count $lines) -gt 1; and printf '%s\\n' $lines[2..-1]
    test "$lines[1]" = :files; and __fish_complete_path "$now"
end
complete -c sloop -f -a '(__sloop_complete)'
`

export const scripts: Readonly<Record<string, string>> = { bash, zsh, fish }
