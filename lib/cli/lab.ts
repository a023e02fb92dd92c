import { type Command } from './command.js';
export const lab: Command = { name: 'lab', usage: '', summary: '', options: {}, run: async () => 0 };
