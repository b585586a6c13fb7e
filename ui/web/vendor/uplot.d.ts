declare const uPlot: any; // options are built as plain objects
export default uPlot;
