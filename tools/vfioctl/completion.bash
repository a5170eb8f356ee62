# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bash completes commands, their options, and the addresses of devices that they are good for.

_vfioctl_devices() {
	vfioctl list --wide "$@" 2>/dev/null | sed -n '2,$s/ .*//p'
}

_vfioctl() {
	local word=${COMP_WORDS[COMP_CWORD]} options='' devices=''
	local words=("${COMP_WORDS[@]}") command

	# Where readline splits words at colons, as it does by default, an address is several.
	if [[ $COMP_WORDBREAKS == *:* ]] && declare -F _get_comp_words_by_ref >/dev/null; then
		local cur cword
		_get_comp_words_by_ref -n : cur words cword
		word=$cur
		COMP_CWORD=$cword
	fi
	COMPREPLY=()
	if [ "$COMP_CWORD" -le 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W 'list bind unbind info doctor watch' -- "$word")
		return
	fi
	command=${words[1]}
	case $command in
	list)	options='--all --bound --wide' ;;
	bind)	options='--group --persist --boot --driver --timeout --force' ;;
	unbind)	options='--persist --force' ;;
	watch)	options='--interval --count' ;;
	info | doctor) ;;
	*)	return ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options --json --help" -- "$word")
		return
	fi
	case ${words[COMP_CWORD - 1]} in
	--driver | --timeout | --interval | --count | -i | -n) return ;;
	esac
	case $command in
	unbind | watch) devices=$(_vfioctl_devices --bound) ;;
	*)	devices=$(_vfioctl_devices) ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$devices" -- "$word")
	if declare -F __ltrim_colon_completions >/dev/null; then
		__ltrim_colon_completions "$word"
	fi
}

complete -F _vfioctl vfioctl
