type Token = { type: string; content: string | Token | (string | Token)[] };
declare const Prism: {
	languages: Record<string, object>;
	tokenize(text: string, grammar: object): (string | Token)[];
};
export default Prism;
