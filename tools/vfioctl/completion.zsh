#compdef vfioctl
# SPDX-License-Identifier: GPL-2.0-only
# zsh completes commands, their options, and the addresses of devices that they are good for.

_vfioctl_devices() {
	local -a lines devices
	local line

	lines=(${(f)"$(vfioctl list --wide $@ 2>/dev/null)"})
	# An address has colons, at which _describe would end the name.
	for line in ${lines[2,-1]}; do
		devices+=("${${line%% *}//:/\\:}:${line#* }")
	done
	_describe -t devices device devices
}

_vfioctl() {
	local context state line
	local -a commands common
	typeset -A opt_args

	commands=(
		'list:functions, their drivers, users and states'
		'bind:make functions available to VMs and user space drivers'
		'unbind:give functions back to the host'
		'info:what a user of the device finds'
		'doctor:why a device cannot be assigned, and what mends it'
		'watch:interrupts, faults, resets and errors, live'
	)
	common=('(-j --json)'{-j,--json}'[output for programs]' '(- *)'{-h,--help}'[help]')

	_arguments -C '1:command:->command' '*::argument:->arguments'
	case $state in
	command)
		_describe -t commands command commands
		;;
	arguments)
		case $line[1] in
		list)
			_arguments $common '(-a --all)'{-a,--all}'[bridges as well]' \
				'--bound[only what a VFIO driver has]' \
				'--wide[lines as long as need be]' '*:device:_vfioctl_devices'
			;;
		bind)
			_arguments $common '--group[all that is in the IOMMU group]' \
				'--persist[at every boot as well]' \
				'(*)--boot[what /etc/vfioctl.conf lists]' \
				'--driver[to this driver]:driver:' \
				'--timeout[how long to wait for the node]:seconds:' \
				'(-f --force)'{-f,--force}'[even if the host is in need of it]' \
				'*:device:_vfioctl_devices'
			;;
		unbind)
			_arguments $common '--persist[no more at boot]' \
				'(-f --force)'{-f,--force}'[even if it is in use]' \
				'*:device:_vfioctl_devices --bound'
			;;
		info | doctor)
			_arguments $common '*:device:_vfioctl_devices'
			;;
		watch)
			_arguments $common '(-i --interval)'{-i,--interval}'[between two lines]:seconds:' \
				'(-n --count)'{-n,--count}'[how many times]:number:' \
				'*:device:_vfioctl_devices --bound'
			;;
		esac
		;;
	esac
}

_vfioctl "$@"
