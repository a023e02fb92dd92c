import { libraryNames } from '../crypto/provider/library.js';
import { allOptions, CliError, type Command, type Verb } from './command.js';
import { allCommands, verbsOf } from './commands.js';
import { Exit } from './exit.js';

const shells = { bash, zsh };

export const completion: Command = {
  name: 'completion',
  usage: 'bash|zsh',
  summary: 'Prints what makes a shell complete commands, options and file names.',
  example: 'source <(dmalg completion bash)',
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

const optionNames = (command: Verb) => Object.keys(allOptions(command)).map((name) => `--${name}`);

const hashes = libraryNames('hash').filter((name) => !name.includes('('));
const ciphers = [...libraryNames('skcipher'), ...libraryNames('aead')];
const volumes = ['aes-xts-plain64', 'aes-cbc-essiv:sha256', 'aes-cbc-plain64', 'aes-ecb'];

/** The values of options that are words. What else has a value names a file, or is a number. */
const values: Record<string, readonly string[]> = {
  hash: hashes,
  provider: ['auto', 'kernel', 'library'],
  engine: ['auto', 'sync', 'lanes', 'aio'],
  type: ['luks1', 'luks2'],
  pbkdf: ['argon2id', 'argon2i', 'pbkdf2'],
  kernel: ['aio', 'current', 'next'],
};

function valuesOf(command: string, option: string): readonly string[] {
  if (option === 'cipher') return volumes;
  if (option === 'name') return command === 'hash' ? hashes : command === 'rng' ? ['stdrng'] : ciphers;
  return values[option] ?? [];
}

/** Names of files are what is completed where nothing else is known. */
function bash(commands: readonly Command[]): string {
  const quoted = (words: readonly string[]) => `'${words.join(' ')}'`;
  const cases = commands.map((command) => `    ${command.name}) verbs=${quoted(verbsOf(command))} ;;`);
  const optionCases = commands.flatMap((command) => [
    ...Object.entries(command.verbs ?? {}).map(
      ([verb, each]) => `    '${command.name} ${verb}') options=${quoted(optionNames(each))} ;;`,
    ),
    `    '${command.name} '*) options=${quoted(optionNames(command))} ;;`,
  ]);
  const valueCases = commands.flatMap((command) =>
    Object.keys(command.options)
      .filter((option) => valuesOf(command.name, option).length > 0)
      .map((option) => `    '${command.name} --${option}') values=${quoted(valuesOf(command.name, option))} ;;`),
  );
  return `# bash completion for dmalg
_dmalg() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} verb=\${COMP_WORDS[2]-} verbs= options= values=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} help --help --version' -- "$word"))
    return
  fi
  if [ "$command" = help ]; then
    if [ "$COMP_CWORD" -eq 2 ]; then
      COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')}' -- "$word"))
      return
    fi
    command=$verb
  fi
  case $command in
${cases.join('\n')}
  esac
  if [ "\${COMP_WORDS[1]}" = help ]; then
    if [ "$COMP_CWORD" -eq 3 ]; then COMPREPLY=($(compgen -W "$verbs" -- "$word")); fi
    return
  fi
  case "$command $verb" in
${optionCases.join('\n')}
  esac
  case "$command $before" in
${valueCases.join('\n')}
  esac
  if [ -n "$values" ]; then
    COMPREPLY=($(compgen -W "$values" -- "$word"))
    local at
    for at in "\${!COMPREPLY[@]}"; do
      case \${COMPREPLY[at]} in *\\(*) COMPREPLY[at]="'\${COMPREPLY[at]}'" ;; esac
    done
  elif [[ $word == -* ]]; then
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
  const words = (command: Command, name: string) => {
    const known = valuesOf(command.name, name);
    return known.length > 0 ? `(${known.map((word) => said(word).replace(/[()]/g, '\\$&')).join(' ')})` : '_files';
  };
  const described = (command: Command, from: Verb) =>
    Object.entries(allOptions(from)).map(([name, { value, multiple, help }]) => {
      const argument = value === undefined ? '' : `:${value}:${words(command, name)}`;
      return `'${multiple ? '*' : ''}--${name}[${said(help)}]${argument}'`;
    });
  const call = (options: string[]) => `_arguments ${[...options, "'*:file:_files'"].join(' ')}`;
  const cases = commands.flatMap((command) => {
    const verbs = verbsOf(command);
    const first = verbs.length > 0 ? [`'1:what:(${verbs.join(' ')})'`] : [];
    const each = Object.entries(command.verbs ?? {}).map(
      ([verb, one]) => `    '${command.name} ${verb}') ${call([...described(command, one), ...first])} ;;`,
    );
    return [...each, `    '${command.name} '*) ${call([...described(command, command), ...first])} ;;`];
  });
  const names = commands.map(({ name, summary }) => `    '${name}:${said(summary)}'`);
  return `#compdef dmalg
_dmalg() {
  local -a commands=(
${names.join('\n')}
    'help:Explains a command, or a verb of it.'
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  if [[ \${words[2]} = help ]]; then
    ((CURRENT == 3)) && _describe command commands
    return
  fi
  local name="\${words[2]} \${words[3]}"
  shift words
  ((CURRENT--))
  case $name in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _dmalg ]; then _dmalg "$@"; else compdef _dmalg dmalg; fi
`;
}
