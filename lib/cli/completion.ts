import { allOptions, CliError, type Command } from './command.js';
import { allCommands, verbsOf } from './commands.js';
import { Exit } from './exit.js';

const shells = { bash, zsh };

export const completion: Command = {
  name: 'completion',
  usage: 'bash|zsh',
  summary: 'Prints what makes a shell complete commands, options and file names.',
  details: [
    'bash: dmalg completion bash > /etc/bash_completion.d/dmalg, or: source <(dmalg completion bash)',
    'zsh: dmalg completion zsh > "$fpath[1]/_dmalg", or after compinit: source <(dmalg completion zsh)',
  ].join('\n'),
  options: {},
  async run({ positionals }) {
    const [name = '', more] = positionals;
    if (!Object.hasOwn(shells, name) || more !== undefined)
      throw new CliError(`expected a shell (${Object.keys(shells).join(', ')}), got '${positionals.join(' ')}'`);
    process.stdout.write(shells[name as keyof typeof shells](await allCommands()));
    return Exit.done;
  },
};

const optionNames = (command: Command) => Object.keys(allOptions(command)).map((name) => `--${name}`);

/** Names of files are what is completed where nothing else is known. */
function bash(commands: readonly Command[]): string {
  const cases = commands.map(
    (command) =>
      `    ${command.name}) verbs='${verbsOf(command).join(' ')}' options='${optionNames(command).join(' ')}' ;;`,
  );
  return `# bash completion for dmalg
_dmalg() {
  local word=\${COMP_WORDS[COMP_CWORD]} verbs= options=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help' -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [ "$COMP_CWORD" -eq 2 ] && [ -n "$verbs" ]; then
    COMPREPLY=($(compgen -W "$verbs" -- "$word"))
  fi
}
complete -o default -F _dmalg dmalg
`;
}

/** In zsh options come with what they are for. */
function zsh(commands: readonly Command[]): string {
  // What stands between quotes and brackets of _arguments.
  const said = (text: string) => text.replace(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");
  const cases = commands.map((command) => {
    const options = Object.entries(allOptions(command)).map(([name, { value, multiple, help }]) => {
      const argument = value === undefined ? '' : `:${value}:_files`;
      return `'${multiple ? '*' : ''}--${name}[${said(help)}]${argument}'`;
    });
    const verbs = verbsOf(command);
    const first = verbs.length > 0 ? [`'1:what:(${verbs.join(' ')})'`] : [];
    return `    ${command.name}) _arguments ${[...options, ...first, "'*:file:_files'"].join(' ')} ;;`;
  });
  const names = commands.map(({ name, summary }) => `    '${name}:${said(summary)}'`);
  return `#compdef dmalg
_dmalg() {
  local -a commands=(
${names.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local name=\${words[2]}
  shift words
  ((CURRENT--))
  case $name in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _dmalg ]; then _dmalg "$@"; else compdef _dmalg dmalg; fi
`;
}
